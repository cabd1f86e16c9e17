//! Greets everyone who is announced on `guest-arrived`.

use baton_sdk::prelude::*;

#[derive(Serialize, Deserialize)]
struct GuestArrived {
    name: String,
}

#[derive(Serialize, Deserialize)]
struct GuestGreeted {
    greeting: String,
    visits: u32,
}

#[processor(
    name = "{{name}}",
    description = "Greets guests and counts their visits.",
    subscribe("guest-arrived"),
    publishes("guest-greeted")
)]
fn greet(event: Event<GuestArrived>, cx: &mut Context) -> Handled {
    let name = &event.data().name;
    if name.is_empty() {
        return Err(Fault::reject("the guest has no name"));
    }
    let visits = cx.state().get_or_default::<u32>("visits")? + 1;
    cx.state().set("visits", &visits)?;
    cx.publish("guest-greeted", &GuestGreeted { greeting: format!("Welcome, {name}!"), visits })
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_sdk::testing::{TestEvent, TestKit, event};

    fn arrival(name: &str) -> TestEvent {
        event("guest-arrived").subject(name).json(&GuestArrived { name: name.to_owned() })
    }

    #[test]
    fn a_guest_who_comes_back_is_counted() {
        let mut kit = TestKit::new(greet_processor());
        kit.deliver(arrival("Ada"));
        let out = kit.deliver(arrival("Ada"));
        let greeted: GuestGreeted = out.published("guest-greeted")[0].data();
        assert_eq!(greeted.greeting, "Welcome, Ada!");
        assert_eq!(greeted.visits, 2);
        assert_eq!(kit.state::<u32>("Ada", "visits"), Some(2));
    }

    #[test]
    fn a_guest_without_a_name_is_rejected() {
        let out = TestKit::new(greet_processor()).deliver(arrival(""));
        assert!(out.fault().is_some_and(Fault::is_reject));
    }
}
