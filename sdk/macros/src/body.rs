//! Finds `cx.publish("x", ..)` and `cx.emit("x")` in a handler, so that a channel that is not declared
//! does not compile.

use syn::visit::{self, Visit};
use syn::{Block, Error, Expr, ExprLit, ExprMethodCall, FnArg, Ident, Lit, LitStr, Pat, Result, Signature};

/// Checks the channels that a handler names by literals. Names that it computes are checked when it runs.
pub fn check(signature: &Signature, block: &Block, publishes: &[String]) -> Result<()> {
    let Some(context) = context_name(signature) else {
        return Ok(());
    };
    let mut search = Search { context, publishes, found: None };
    search.visit_block(block);
    match search.found {
        Some(literal) => Err(undeclared(&literal, publishes)),
        None => Ok(()),
    }
}

/// The name of the second parameter.
fn context_name(signature: &Signature) -> Option<&Ident> {
    match signature.inputs.iter().nth(1)? {
        FnArg::Typed(parameter) => match &*parameter.pat {
            Pat::Ident(name) => Some(&name.ident),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    }
}

fn undeclared(literal: &LitStr, publishes: &[String]) -> Error {
    let channel = literal.value();
    let why = format!(
        "'{channel}' is not declared: add it to publishes(..) of the #[processor] attribute, \
         which declares {publishes:?}"
    );
    Error::new(literal.span(), why)
}

struct Search<'a> {
    context: &'a Ident,
    publishes: &'a [String],
    found: Option<LitStr>,
}

impl<'a> Visit<'a> for Search<'_> {
    fn visit_expr_method_call(&mut self, call: &'a ExprMethodCall) {
        let publishing = call.method == "publish" || call.method == "emit";
        if let (true, Expr::Path(receiver), Some(Expr::Lit(ExprLit { lit: Lit::Str(channel), .. }))) =
            (publishing, &*call.receiver, call.args.first())
            && receiver.path.is_ident(self.context)
            && !self.publishes.contains(&channel.value())
        {
            self.found.get_or_insert_with(|| channel.clone());
        }
        visit::visit_expr_method_call(self, call);
    }
}
