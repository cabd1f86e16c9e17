//! The code that the attribute leaves: the item as it was, its definition, and in a wasm build the export.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, ImplItem, Item, ItemFn, ItemImpl, Result};

use crate::ask::Ask;
use crate::{body, descriptor};

/// Expands the attribute on a function or on an `impl Processor for T`.
pub fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let ask: Ask = syn::parse2(arguments)?;
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let json = descriptor::json(&ask, &version);
    match syn::parse2(item)? {
        Item::Fn(function) => of_function(&ask, &json, &function),
        Item::Impl(handler) if handler.trait_.is_some() => of_impl(&ask, &json, &handler),
        other => Err(Error::new_spanned(
            other,
            "put #[processor] on a function or on an `impl Processor for T`",
        )),
    }
}

fn of_function(ask: &Ask, json: &str, function: &ItemFn) -> Result<TokenStream> {
    if function.sig.inputs.len() != 2 {
        let why = "a handler takes the event and the context: (event: Event<T>, cx: &mut Context) -> Handled";
        return Err(Error::new_spanned(&function.sig, why));
    }
    body::check(&function.sig, &function.block, &ask.publishes)?;
    let (handler, visibility) = (&function.sig.ident, &function.vis);
    let maker = format_ident!("{handler}_processor");
    let definition = definition(
        ask,
        json,
        &quote! {
            |event, cx| #handler(::baton_sdk::Event::typed(event)?, cx)
        },
    );
    let export = export(json, &quote!(#maker()));
    let doc = format!("The processor `{}`.", ask.name);
    Ok(quote! {
        #function

        #[doc = #doc]
        #[allow(dead_code)]
        #visibility fn #maker() -> ::baton_sdk::Definition { #definition }

        #export
    })
}

fn of_impl(ask: &Ask, json: &str, handler: &ItemImpl) -> Result<TokenStream> {
    for item in &handler.items {
        if let ImplItem::Fn(function) = item {
            body::check(&function.sig, &function.block, &ask.publishes)?;
        }
    }
    let owner = &handler.self_ty;
    let definition = definition(
        ask,
        json,
        &quote!(<#owner as ::baton_sdk::Processor>::handle),
    );
    let export = export(json, &quote!(<#owner>::processor()));
    let doc = format!("The processor `{}`.", ask.name);
    Ok(quote! {
        #handler

        impl #owner {
            #[doc = #doc]
            #[allow(dead_code)]
            pub fn processor() -> ::baton_sdk::Definition { #definition }
        }

        #export
    })
}

fn definition(ask: &Ask, json: &str, handle: &TokenStream) -> TokenStream {
    let Ask {
        name, publishes, ..
    } = ask;
    let channels = ask
        .subscriptions
        .iter()
        .map(|subscription| &subscription.channel);
    let keys = ask
        .subscriptions
        .iter()
        .map(|subscription| subscription.key.as_deref().unwrap_or("default"));
    quote! {
        static DESCRIPTOR: ::baton_sdk::Descriptor = ::baton_sdk::Descriptor {
            json: #json,
            name: #name,
            subscriptions: &[#(::baton_sdk::Subscription { channel: #channels, key: #keys }),*],
            publishes: &[#(#publishes),*],
        };
        ::baton_sdk::Definition { descriptor: &DESCRIPTOR, handle: #handle }
    }
}

/// The component's two functions, its type for the linker, and its descriptor for the host.
fn export(json: &str, definition: &TokenStream) -> TokenStream {
    let (descriptor, descriptor_len) = (Literal::byte_string(json.as_bytes()), json.len());
    quote! {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use ::baton_sdk::__guest;

            #[unsafe(export_name = "baton:processor/handler@0.1.0#handle")]
            unsafe extern "C" fn handle(
                arena: *mut u8, arena_len: usize,
                events: *mut u8, events_len: usize,
                attributes: *mut u8, attributes_len: usize,
            ) -> *const __guest::Outcomes {
                let batch = __guest::Arguments {
                    arena: (arena, arena_len),
                    events: (events, events_len),
                    attributes: (attributes, attributes_len),
                };
                unsafe { __guest::handle(&#definition, batch) }
            }

            #[unsafe(export_name = "cabi_post_baton:processor/handler@0.1.0#handle")]
            unsafe extern "C" fn handled(_: *const __guest::Outcomes) {
                unsafe { __guest::handled() }
            }

            #[used]
            #[unsafe(link_section = "component-type:baton:processor@0.1.0")]
            static COMPONENT_TYPE: [u8; __guest::COMPONENT_TYPE.len()] = *__guest::COMPONENT_TYPE;

            #[used]
            #[unsafe(link_section = "baton-descriptor")]
            static DESCRIPTOR: [u8; #descriptor_len] = *#descriptor;
        };
    }
}
