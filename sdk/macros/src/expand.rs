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
        other => {
            Err(Error::new_spanned(other, "put #[processor] on a function or on an `impl Processor for T`"))
        }
    }
}

fn of_function(ask: &Ask, json: &str, function: &ItemFn) -> Result<TokenStream> {
    if function.sig.inputs.len() != 2 {
        let why = "a handler takes the event and the context: (event: Event<T>, cx: &mut Context) -> Handled";
        return Err(Error::new_spanned(&function.sig, why));
    }
    body::check(&function.sig, &function.block, &ask.publishes)?;
    let handler = &function.sig.ident;
    let maker = format_ident!("{handler}_processor");
    let definition = definition(
        ask,
        json,
        &quote! {
            |event, cx| #handler(::baton_sdk::Event::typed(event)?, cx)
        },
    );
    let (export, read_again) = (export(json, &quote!(#maker())), read_again(ask));
    let doc = format!("The processor `{}`.", ask.name);
    Ok(quote! {
        #function

        #[doc = #doc]
        #[allow(dead_code)]
        pub fn #maker() -> ::baton_sdk::Definition { #definition }

        #export
        #read_again
    })
}

fn of_impl(ask: &Ask, json: &str, handler: &ItemImpl) -> Result<TokenStream> {
    for item in &handler.items {
        if let ImplItem::Fn(function) = item {
            body::check(&function.sig, &function.block, &ask.publishes)?;
        }
    }
    let owner = &handler.self_ty;
    let definition = definition(ask, json, &quote!(<#owner as ::baton_sdk::Processor>::handle));
    let (export, read_again) = (export(json, &quote!(<#owner>::processor())), read_again(ask));
    let doc = format!("The processor `{}`.", ask.name);
    Ok(quote! {
        #handler

        impl #owner {
            #[doc = #doc]
            #[allow(dead_code)]
            pub fn processor() -> ::baton_sdk::Definition { #definition }
        }

        #export
        #read_again
    })
}

fn definition(ask: &Ask, json: &str, handle: &TokenStream) -> TokenStream {
    let Ask { name, publishes, .. } = ask;
    let channels = ask.subscriptions.iter().map(|subscription| &subscription.channel);
    let keys = ask.subscriptions.iter().map(|subscription| subscription.key.as_deref().unwrap_or("default"));
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

/// Tells the compiler which files were read, so that it builds again when one changes.
fn read_again(ask: &Ask) -> TokenStream {
    let files = ask.schemas.iter().map(|schema| schema.file.display().to_string());
    quote!(#(const _: &[u8] = include_bytes!(#files);)*)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refusal(arguments: TokenStream, body: TokenStream) -> String {
        let item = quote! { fn handle(event: Event<Order>, cx: &mut Context) -> Handled { #body } };
        expand(arguments, item).unwrap_err().to_string()
    }

    #[test]
    fn what_the_host_would_refuse_does_not_compile() {
        let cases = [
            (quote!(subscribe("a")), "say the processor's name"),
            (quote!(name = "a"), "say which channel's events it handles"),
            (quote!(name = "A", subscribe("a")), "'A' is not a processor name"),
            (quote!(name = "a", subscribe("a b")), "'a b' is not a channel name"),
            (quote!(name = "a", subscribe("a"), subscribe("a")), "'a' is there twice"),
            (quote!(name = "a", publishes("b", "b"), subscribe("a")), "'b' is there twice"),
            (quote!(name = "a", name = "b", subscribe("a")), "'name' is there twice"),
            (quote!(name = "a", subscribe("a", key = "No")), "'No' is not a key"),
            (quote!(name = "a", subscribe("a", start = "now")), "'now' is not known here"),
            (quote!(name = "a", subscribe("a", start = now)), "'now' is not known here"),
            (quote!(name = "a", subscribe("a", start = "2026-01-31")), "like 2026-01-31T12:00:00Z"),
            (
                quote!(name = "a", subscribe("a", start = "2026-01-31T12:00:00.Z")),
                "like 2026-01-31T12:00:00Z",
            ),
            (quote!(name = "a", subscribe("a", start = 1, start = 2)), "'start' is there twice"),
            (quote!(name = "a", subscribe("a", filter = sql("a"))), "'sql' is not known here; use exact"),
            (quote!(name = "a", subscribe("a", filter = all())), "all takes one filter or more"),
            (
                quote!(name = "a", subscribe("a", filter = not(exact(id = "1"), exact(id = "2")))),
                "not takes one",
            ),
            (quote!(name = "a", subscribe("a", filter = exact())), "compares an attribute with a text"),
            (quote!(name = "a", subscribe("a", filter = exact(Type = "a"))), "'Type' is no attribute"),
            (quote!(name = "a", subscribe("a", filter = exact(data = "a"))), "'data' does not"),
            (quote!(name = "a", subscribe("a", filter = exact(id = ""))), "give it 1 to 4096"),
            (quote!(name = "a", subscribe("a", filter = exact(id = "1", id = "2"))), "'id' is there twice"),
            (quote!(name = "a", subscribe("a"), instance = "cold"), "'cold' is not known here"),
            (quote!(name = "a", subscribe("a"), schema("a", "no/such.json")), "cannot read"),
            (quote!(name = "a", subscribe("a"), schema("a", "Cargo.toml")), "Cargo.toml is no JSON"),
            (
                quote!(name = "a", subscribe("a"), schema("b", "tests/text.json")),
                "'b' is neither in publishes",
            ),
            (
                quote!(
                    name = "a",
                    subscribe("a"),
                    schema("a", "tests/text.json"),
                    schema("a", "tests/text.json")
                ),
                "'a' has a schema already",
            ),
            (quote!(name = "a", subscribe("a"), colour = 1), "'colour' is not known here"),
            (quote!(name = "a", subscribe("a"), concurrency = 65), "65 is out of bounds; choose 1 to 64"),
            (quote!(name = "a", subscribe("a"), limits(memory_bytes_max = 1)), "choose 65536 to 4294967296"),
            (quote!(name = "a", subscribe("a"), limits(event_time_ms_max = 60_001)), "choose 1 to 60000"),
        ];
        for (arguments, part) in cases {
            let text = arguments.to_string();
            let refusal = refusal(arguments, TokenStream::new());
            assert!(refusal.contains(part), "{text}: {refusal}");
        }
    }

    #[test]
    fn filters_are_bounded_as_the_host_bounds_them() {
        let nested = |depth: usize| (1..depth).fold(quote!(exact(id = "1")), |inner, _| quote!(not(#inner)));
        let many = |rules: usize| {
            let filters = (1..rules).map(|_| quote!(exact(id = "1")));
            quote!(any(#(#filters),*))
        };
        for (good, bad, part) in
            [(nested(8), nested(9), "at most 8 deep"), (many(64), many(65), "at most 64 rules")]
        {
            assert!(syn::parse2::<Ask>(quote!(name = "a", subscribe("a", filter = #good))).is_ok());
            let refusal = refusal(quote!(name = "a", subscribe("a", filter = #bad)), TokenStream::new());
            assert!(refusal.contains(part), "{refusal}");
        }
    }

    #[test]
    fn the_most_subscriptions_are_64() {
        let channels = (0..65).map(|index| format!("c{index}"));
        let refusal = refusal(quote!(name = "a", #(subscribe(#channels)),*), TokenStream::new());
        assert!(refusal.contains("subscribes to 64 channels at most"), "{refusal}");
    }

    #[test]
    fn a_channel_that_a_handler_names_must_be_declared() {
        let refusal = refusal(
            quote!(name = "a", subscribe("a"), publishes("told")),
            quote!(if true { cx.publish("told", &1)?; } other.publish("x"); cx.emit("toad").no_data()),
        );
        assert!(refusal.contains("'toad' is not declared"), "{refusal}");
        assert!(refusal.contains("[\"told\"]"), "{refusal}");
    }

    #[test]
    fn only_handlers_become_processors() {
        let item = quote!(
            struct X;
        );
        let refusal = expand(quote!(name = "a", subscribe("a")), item).unwrap_err().to_string();
        assert!(refusal.contains("put #[processor] on a function"), "{refusal}");
    }
}
