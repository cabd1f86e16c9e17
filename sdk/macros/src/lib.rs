//! The `#[processor]` attribute: reads what a processor says of itself, checks it where it is written, and puts it
//! into the component. Use it by way of `baton-sdk`.

mod ask;
mod body;
mod check;
mod descriptor;
mod expand;
mod filter;
mod schema;

use proc_macro::TokenStream;

/// Makes a processor of a function, or of an `impl Processor for T`.
///
/// ```text
/// #[processor(
///     name = "order-placement",                          // lower-case letters, digits, '-', '_', '.'
///     description = "Takes orders.",                     // optional
///     subscribe("place-order"),                          // one or more
///     subscribe("x", key = "single", start = latest),    // start: earliest (default), latest, an offset, or a time
///     subscribe("y", start = "2026-01-31T12:00:00Z",     // the first event that was recorded then or later
///         filter = any(exact(type = "a"), prefix(subject = "order-", tenant = "t"))),
///     publishes("order-created"),                        // all channels that it publishes on
///     schema("order-created", "schemas/order-created.json"), // optional: what a channel's data looks like
///     key = "/sku",                                      // for each subscription that names none of its own
///     concurrency = 2,                                   // lanes; default 1
///     limits(memory_bytes_max = 16_777_216, event_time_ms_max = 100),
///     instance = "fresh",                                // default "warm"
/// )]
/// ```
///
/// A key is `default` (the attribute `partitionkey`, else `subject`, else `id`), `single` (all events
/// in one order), the name of an attribute, or a JSON pointer into the data. A filter compares attributes with texts by `exact`,
/// `prefix` and `suffix`, and joins filters by `all`, `any` and `not`; what it does not pass never meets the handler. The version is that of the crate.
///
/// A schema is a JSON Schema in a file beside `Cargo.toml`, for a channel that the processor publishes on (what it
/// sends) or reads (what it expects). Nothing is checked against it when events come; `baton lint` compares the two
/// ends of a channel, and `baton asyncapi` tells it on.
///
/// A function `f` gets a sibling `f_processor()`, a type `T` gets `T::processor()`: the definition that the
/// test kit takes. In a wasm build the component's export and its descriptor are made as well, so a crate has one
/// processor.
#[proc_macro_attribute]
pub fn processor(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
