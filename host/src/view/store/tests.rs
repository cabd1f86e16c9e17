//! The store against the fold itself: what is read back is what was folded.

use uuid::Uuid;

use super::*;
use crate::model::change::{Again, Change, Control, Skip};
use crate::model::operation::{Approved, Operation, Operator, Paused};
use crate::view::fixture::{Random, channel_created, control, deployment, fault, processor_named};

fn held(random: &mut Random, subscription: u32, offset: u64) -> Control {
    let (position, flow) = (random.below(1 << 40), Uuid::from_u128(random.below(1 << 60).into()));
    let (key, fault) = (format!("k{offset}"), fault());
    match random.below(3) {
        0 => Control::Died { subscription, offset, position, flow, key, fault },
        more => {
            let again = (more == 1).then_some(Again { at_ms: position, after_ms: offset });
            Control::Held { subscription, offset, position, flow, key, fault, again }
        }
    }
}

/// Something happens to an event that failed, if there is one.
fn revived(world: &World, random: &mut Random, processor: u32) -> Control {
    let (flow, by) = (Uuid::nil(), Operator::Cli);
    let dead = world.dead().iter().map(|(event, _)| event).nth(random.below(5) as usize);
    let held = world.processors()[processor as usize].held.keys().next().copied();
    match (random.below(4), dead, held) {
        (0 | 1, Some((subscription, offset)), _) => {
            Control::Redriven { subscription, offset, flow, at: offset }
        }
        (2, Some((subscription, offset)), _) | (2, None, Some((subscription, offset))) => {
            Control::Discarded { subscription, offset, flow, by }
        }
        (_, _, Some(event)) => Control::Released { processor, events: Some(vec![event]) },
        _ => Control::Released { processor, events: None },
    }
}

/// Two channels, two processors that read both.
fn founded() -> World {
    let mut world = World::default();
    for id in 0..2 {
        control(&mut world, channel_created(id, &format!("c{id}")));
        control(&mut world, processor_named(id, &format!("p{id}")));
    }
    (0..2).for_each(|processor| subscribe(&mut world, processor));
    world
}

fn subscribe(world: &mut World, processor: u32) {
    for channel in 0..2 {
        let subscription = world.subscriptions().len() as u32;
        let start = world.channels()[channel as usize].next;
        control(world, Control::SubscriptionCreated { subscription, processor, channel, start });
    }
}

fn step(world: &mut World, random: &mut Random) {
    let processor = random.below(2) as u32;
    let subscription = random.below(world.subscriptions().len() as u64) as u32;
    let cursor = world.subscriptions()[subscription as usize].decided.cursor();
    let offset = cursor + random.below(200);
    let (key, name) = (format!("k{}", random.below(20)), format!("n{}", random.below(3)));
    let generation = world.deployments().len() as u64;
    match random.below(44) {
        0 => control(
            world,
            Control::Deployed { deployment: Box::new(deployment(processor, generation, &["c0"], &[])) },
        ),
        1 => control(
            world,
            Control::Switched { processor, generation: random.below(9), pauses_us: vec![generation] },
        ),
        2 => {
            let forget = random.below(2) == 0;
            control(world, Control::Undeployed { processor, forget });
            if forget {
                subscribe(world, processor);
            }
        }
        3 if random.below(2) == 0 => {
            let next = world.channels()[processor as usize].next;
            control(
                world,
                Control::Expired { channel: processor, to: random.below(next + 1), until_ms: generation },
            );
        }
        3 => {
            let revived = revived(world, random, processor);
            control(world, revived);
        }
        4 => {
            let clear_state = random.below(2) == 0;
            control(world, Control::SubscriptionReset { subscription, to: offset, clear_state });
        }
        40..44 => operate(world, random, processor),
        5..8 => {
            let held = held(random, subscription, offset);
            control(world, held);
        }
        8..16 => {
            let (channel, offset) = (processor, world.channels()[processor as usize].next);
            world.fold(&Change::Event { channel, offset, record: &[] });
        }
        16..22 => world.fold(&Change::StateDelete { processor, key: &key, name: &name }),
        22..30 => {
            let value = vec![7; random.below(30) as usize];
            let expires_ms = [0, 5, u64::MAX][random.below(3) as usize];
            world.fold(&Change::StateSet { processor, key: &key, name: &name, expires_ms, value: &value });
        }
        30 => {
            world.fold(&Change::Skipped(Skip { subscription, from: offset, to: offset + random.below(150) }))
        }
        31..35 => world.fold(&Change::Decided { subscription, offset: cursor, flow: Uuid::nil() }),
        _ => world.fold(&Change::Decided { subscription, offset, flow: Uuid::nil() }),
    }
}

fn operate(world: &mut World, random: &mut Random, processor: u32) {
    let by = Operator::Cli;
    let change = match random.below(4) {
        0 => {
            let paused = Paused { reason: "r".into(), by, time_ms: random.below(1 << 60) };
            Control::Paused { processor, paused }
        }
        1 => {
            let approved = Approved { digest: "d".into(), by, time_ms: random.below(1 << 60) };
            Control::Approved { processor, approved }
        }
        2 => Control::Resumed { processor, rate: "5/m".parse().ok().filter(|_| random.below(2) == 0), by },
        _ => Control::Scaled { processor, lanes: "1..4".parse().ok().filter(|_| random.below(2) == 0), by },
    };
    control(world, change);
}

/// Everything that changed, state included.
fn rows(world: &mut World) -> Rows {
    let mut rows = world.take_dirty();
    rows.state =
        (0..).zip(world.processors()).map(|(id, processor)| (id, processor.state.take_dirty())).collect();
    rows
}

/// Everything that a world holds, as text.
fn told(world: &World) -> String {
    let processors = world.processors().iter().map(|p| {
        let rows = p.state.rows(None, 0, usize::MAX);
        let told = (&p.name, p.deployed, &p.deployment, &p.subscriptions, &p.held, &p.operation);
        format!("{told:?} {rows:?} {}\n", p.state.bytes())
    });
    let subscriptions = world.subscriptions().iter().map(|s| {
        let ahead: Vec<u64> = s.decided.ahead_offsets().collect();
        let decided = (s.decided.cursor(), s.decided.ahead(), ahead);
        format!(
            "{:?}\n",
            (
                s.processor,
                s.channel,
                s.start,
                s.forgotten,
                s.filtered,
                s.replays,
                s.expired,
                s.acked,
                s.discarded,
                decided
            )
        )
    });
    let found: Vec<_> =
        (0..3).map(|id| (world.channel_id(&format!("c{id}")), world.processor_id("p1"))).collect();
    let dead: Vec<_> = world.dead().iter().collect();
    let rest = format!("{:?} {:?} {found:?} {dead:?}", world.channels(), world.deployments());
    processors.chain(subscriptions).chain([rest]).collect()
}

#[test]
fn what_is_read_back_is_what_was_folded() {
    for seed in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("views/views.db");
        let (mut random, mut world) = (Random(seed), founded());
        let (mut store, ..) = Store::open(&path).unwrap();
        for round in 1..12 {
            (0..120).for_each(|_| step(&mut world, &mut random));
            store.write(&rows(&mut world), round).unwrap();
            if random.below(2) == 0 {
                let reopened = Store::open(&path).unwrap();
                assert_eq!(reopened.2, round);
                assert_eq!(told(&reopened.1), told(&world));
                (store, world) = (reopened.0, reopened.1);
            }
        }
    }
}

#[test]
fn a_forgotten_subscription_stays_forgotten_and_keeps_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("views.db");
    let (mut store, ..) = Store::open(&path).unwrap();
    let mut world = founded();
    world.fold(&Change::StateSet { processor: 1, key: "k", name: "n", expires_ms: 0, value: b"v" });
    store.write(&rows(&mut world), 1).unwrap();
    control(&mut world, Control::Undeployed { processor: 1, forget: true });
    store.write(&rows(&mut world), 2).unwrap();
    let (_, reopened, _) = Store::open(&path).unwrap();
    assert_eq!(reopened.subscriptions().len(), 4);
    assert_eq!(reopened.subscription_of(1, 0), None);
    assert!(reopened.processors()[1].subscriptions.is_empty());
    assert_eq!(reopened.channels()[0].subscriptions, [0]);
    assert_eq!(reopened.processors()[1].state.bytes(), 0);
}

#[test]
fn a_store_of_an_earlier_version_gets_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("views.db");
    let connection = Connection::open(&path).unwrap();
    let version_1 = format!(
        "{SCHEMA} INSERT INTO position VALUES (1, 7); INSERT INTO channel VALUES (0, 'c', 9);
         INSERT INTO processor VALUES (0, 'p', 1, '{{\"held\":[],\"released\":[]}}');
         INSERT INTO subscription VALUES (0, 0, 0, 2, 5, x'', 0);
         PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 1;"
    );
    connection.execute_batch(&version_1).unwrap();
    drop(connection);
    for _ in 0..2 {
        let (_, world, next) = Store::open(&path).unwrap();
        let subscription = &world.subscriptions()[0];
        assert_eq!((next, subscription.decided.cursor(), subscription.filtered), (7, 5, 0));
    }
}

#[test]
fn a_store_of_the_first_release_opens_with_nobody_paused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("views.db");
    let (mut store, ..) = Store::open(&path).unwrap();
    store.write(&rows(&mut founded()), 1).unwrap();
    drop(store);
    let old = "UPDATE processor SET held = '{\"held\":[],\"released\":[[0,3,1]]}'";
    let old = format!("{old}; UPDATE processor SET checksum = checksum({})", sums::PROCESSOR);
    let connection = Connection::open(&path).unwrap();
    sums::teach(&connection).unwrap();
    connection.execute_batch(&old).unwrap();
    let (_, world, next) = Store::open(&path).unwrap();
    assert_eq!((next, &world.processors()[0].operation), (1, &Operation::default()));
    assert!(world.processors()[0].held.is_empty() && world.subscriptions()[0].acked == 0);
}

#[test]
fn what_is_broken_or_foreign_is_set_aside() {
    fn sql(path: &Path, sql: &str) {
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    }
    let harms: [fn(&Path); 6] = [
        |path| fs::write(path, "no database, and long enough to be read as one".repeat(100)).unwrap(),
        |path| sql(path, "PRAGMA application_id = 5"),
        |path| sql(path, "PRAGMA user_version = 1000"),
        |path| sql(path, "DROP TABLE state"),
        |path| sql(path, "DELETE FROM channel WHERE id = 0"),
        |path| sql(path, "UPDATE subscription SET cursor = cursor + 1 WHERE id = 1"),
    ];
    for harm in harms {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("views.db");
        let (mut store, ..) = Store::open(&path).unwrap();
        store.write(&rows(&mut founded()), 10).unwrap();
        drop(store);
        assert_eq!(Store::open(&path).unwrap().2, 10);
        harm(&path);
        let (mut store, world, next) = Store::open(&path).unwrap();
        assert_eq!((next, world.channels().len()), (0, 0));
        assert!(path.with_extension("db.broken").exists());
        store.write(&rows(&mut founded()), 3).unwrap();
        assert_eq!(Store::open(&path).unwrap().1.channels().len(), 2);
    }
}

#[test]
fn every_column_of_every_table_is_summed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ..) = Store::open(&dir.path().join("views.db")).unwrap();
    let text = |query: &str| store.connection.query_row(query, [], |row| row.get::<_, String>(0)).unwrap();
    let tables = [
        ("channel", sums::CHANNEL),
        ("dead", sums::DEAD),
        ("deployment", sums::DEPLOYMENT),
        ("position", sums::POSITION),
        ("processor", sums::PROCESSOR),
        ("state", sums::STATE),
        ("subscription", sums::SUBSCRIPTION),
    ];
    let sorted = |list: &str| {
        let mut names: Vec<_> = list.split(',').map(|name| name.trim().to_owned()).collect();
        names.sort();
        names
    };
    for (table, columns) in tables {
        let there = text(&format!("SELECT group_concat(name) FROM pragma_table_info('{table}')"));
        assert_eq!(sorted(&there), sorted(&format!("{columns}, checksum")), "{table}");
    }
    let all = text("SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table'");
    assert_eq!(sorted(&all), tables.map(|(table, _)| table), "each table has its list");
}

/// Whatever bit a disk turns: the store is set aside, or it was a bit that nothing stands in.
#[test]
fn a_turned_bit_never_makes_another_view() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("views.db");
    let (mut store, ..) = Store::open(&path).unwrap();
    let (mut random, mut world) = (Random(3), founded());
    (0..200).for_each(|_| step(&mut world, &mut random));
    store.write(&rows(&mut world), 10).unwrap();
    drop(store);
    let (whole, expected) = (fs::read(&path).unwrap(), told(&world));
    let (mut set_aside, turned) = (0, 400);
    for _ in 0..turned {
        let mut bytes = whole.clone();
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random.below(8);
        fs::write(&path, bytes).unwrap();
        let (store, world, next) = Store::open(&path).unwrap();
        match next {
            0 => set_aside += 1,
            _ => assert_eq!((next, told(&world)), (10, expected.clone()), "byte {at}"),
        }
        drop(store);
    }
    assert!(set_aside > turned / 20, "{set_aside} of {turned}");
}

#[test]
fn a_path_that_cannot_be_opened_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains(&dir.path().display().to_string()), "{error}");
}
