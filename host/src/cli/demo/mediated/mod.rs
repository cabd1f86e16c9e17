//! `baton demo --mediator`: the same shop, and mediators that know the steps. Runs are told as they go on; what was shown is checked against
//! the host's own reports.

mod facts;
mod scene;
mod story;
mod watch;

use super::super::failure::Failure;
use super::super::output::Out;
use super::act::Stage;
use super::folder::Folder;
use super::host::Host;
use super::orders::ADA;
use super::shop::{MEDIATORS, Shop};
use super::{Place, tell};
pub use facts::Facts;
use facts::Next;
use scene::Scenes;

/// Everything that is shown, in its order.
pub fn show(host: &Host, shop: &Shop, folder: &Folder, out: Out) -> Result<Facts, Failure> {
    let stage = Stage::new(host.server());
    let opening = stage.opening(host.server(), folder, shop)?;
    shop.add_mediators(folder)?;
    stage.await_mediators(&MEDIATORS)?;
    tell(out, &opening, story::opening)?;
    let scenes = Scenes::new(&stage, out);
    let played = vec![
        scenes.paid()?,
        scenes.expired_card()?,
        scenes.declined_card()?,
        scenes.too_few_copies()?,
        scenes.mistyped_card()?,
        scenes.large_order()?,
    ];
    let facts = Facts::new(opening, played);
    match out.json {
        true => out.show(&facts, |_, _| String::new())?,
        false => out.item(&facts, story::verdict)?,
    }
    Ok(facts)
}

/// Says what to try while the host stays up.
pub fn next(facts: &Facts, place: Place, folder: &Folder, out: Out) -> Result<(), Failure> {
    let resumed = facts.scenes.iter().find(|scene| scene.resumed);
    let next = Next {
        order: folder.write("order.json", &ADA.data().to_string())?,
        run: resumed.map(|scene| scene.run.run.id.clone()).unwrap_or_default(),
        flow: resumed.map(|scene| scene.flow.flow.clone()).unwrap_or_default(),
        place,
    };
    tell(out, &next, story::next)
}
