//! The language of availability: what it reads, what it refuses, and that it means what it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use stentor_core::availability::{Expr, Grounded, Known, Redundancy, State, ground};
use stentor_core::catalog::{Catalog, ComponentType, Platform};
use stentor_core::diagnosis::Topology;

use State::{Available, Degraded, Unavailable, Unknown};

fn topology() -> Topology {
    serde_json::from_value(serde_json::json!({
        "platform": "eucalyptus", "min_nc": 2,
        "zones": {"front": ["clc1", "ufs1", "ufs2"], "one": ["cc1", "sc1", "nc1", "nc2", "nc3"],
                  "two": ["cc2", "sc2", "nc4"], "vm": ["vb1"]},
        "vmware_zones": ["vm"],
        "hosts": {"clc1": ["clc"], "ufs1": ["ufs"], "ufs2": ["ufs"], "cc1": ["cc"], "sc1": ["sc"], "nc1": ["nc"],
                  "nc2": ["nc"], "nc3": ["nc"], "cc2": ["cc"], "sc2": ["sc"], "nc4": ["nc"], "vb1": ["vb"]},
        "backends": {"riak": ["ufs"], "san1": ["sc"]}
    }))
    .expect("a topology")
}

/// Grounds a text on the cloud above.
fn grounded(text: &str) -> Grounded {
    let (name, topology): (Arc<str>, Topology) = ("prod".into(), topology());
    let known = Known { clouds: vec![(&name, &topology)], home: Some(0), businesses: vec!["shop"], ..Known::default() };
    let expr = Expr::parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
    let (grounded, lost) = ground(&expr, &known);
    assert!(lost.is_empty(), "{text}: {lost:?}");
    grounded
}

/// The states of the pieces: available unless `not_well` names them (`ufs1/ufs`).
fn states(grounded: &Grounded, not_well: &[(&str, State)]) -> Vec<State> {
    for (name, _) in not_well {
        assert!(grounded.pieces.iter().any(|piece| piece.to_string() == *name), "{name} is no piece");
    }
    let of = |name: String| not_well.iter().find(|(piece, _)| *piece == name).map_or(Available, |(_, state)| *state);
    grounded.pieces.iter().map(|piece| of(piece.to_string())).collect()
}

#[test]
fn an_expression_says_how_a_cloud_stands() {
    let zones = "any(own zone: cc and sc and min_nc of nc)";
    for (text, not_well, state) in [
        ("ufs", vec![("ufs1/ufs", Unavailable)], Available),
        ("all(ufs)", vec![("ufs1/ufs", Unavailable)], Unavailable),
        ("should(all(ufs))", vec![("ufs1/ufs", Unavailable)], Degraded),
        ("ufs", vec![("ufs1/ufs", Unavailable), ("ufs2/ufs", Unavailable)], Unavailable),
        ("ufs", vec![("ufs1/ufs", Unavailable), ("ufs2/ufs", Degraded)], Degraded),
        ("ufs", vec![("ufs1/ufs", Unavailable), ("ufs2/ufs", Unknown)], Unknown),
        ("clc and ufs", vec![("clc1/clc", Unknown), ("ufs1/ufs", Unavailable)], Unknown),
        ("worst(ufs)", vec![("ufs1/ufs", Degraded)], Degraded),
        ("best(ufs)", vec![("ufs1/ufs", Degraded)], Available),
        // Not registered: takes no part.
        ("walrus and clc", vec![], Available),
        ("walrus else all(backends:ufs)", vec![("riak", Unavailable)], Unavailable),
        ("clc else all(backends:ufs)", vec![("clc1/clc", Degraded)], Degraded),
        ("3 of nc", vec![("nc1/nc", Unavailable)], Available),
        ("at least 4 nc", vec![("nc1/nc", Unavailable)], Unavailable),
        ("70% of nc", vec![("nc1/nc", Unavailable)], Available),
        ("75.1% of nc", vec![("nc1/nc", Unavailable)], Unavailable),
        ("majority of nc", vec![("nc1/nc", Unavailable), ("nc2/nc", Unavailable)], Unavailable),
        ("5 of nc", vec![], Unavailable),
        ("0 of nc", vec![("nc1/nc", Unavailable)], Available),
        (zones, vec![("cc1/cc", Unavailable)], Unavailable),
        (zones, vec![("nc1/nc", Unavailable)], Available),
        (zones, vec![("nc1/nc", Unavailable), ("nc2/nc", Unavailable)], Unavailable),
        ("any(zone: cc)", vec![("cc1/cc", Unavailable)], Available),
        ("all(zone: cc)", vec![("cc1/cc", Unavailable)], Unavailable),
        ("any(vmware zone: vb)", vec![("vb1/vb", Unavailable)], Unavailable),
        ("in zone two (cc and nc)", vec![("nc4/nc", Unavailable)], Unavailable),
        ("in cloud prod (clc)", vec![("clc1/clc", Unavailable)], Unavailable),
        ("weighted(0.6: nc1/nc=3, nc2/nc, nc3/nc)", vec![("nc2/nc", Unavailable), ("nc3/nc", Unavailable)], Available),
        ("weighted(0.6: nc1/nc=3, nc2/nc, nc3/nc)", vec![("nc1/nc", Unavailable)], Unavailable),
        ("2 of (clc, business:shop, host:nc1)", vec![("nc1", Unavailable)], Available),
        ("core:prod and service:nc1/\"disk /\"", vec![("nc1/disk /", Degraded)], Degraded),
    ] {
        let grounded = grounded(text);
        let states = states(&grounded, &not_well);
        assert_eq!(grounded.state(&states), state, "{text} with {not_well:?}");
        assert_eq!(grounded.look(&states).state, state, "{text} with {not_well:?}");
    }
}

#[test]
fn the_smallest_set_of_failed_pieces_is_the_reason() {
    for (text, not_well, because, words) in [
        ("clc and ufs", vec![("ufs1/ufs", Unavailable)], "", ""),
        (
            "3 of nc and clc",
            vec![("nc1/nc", Unavailable), ("nc2/nc", Unavailable), ("clc1/clc", Unavailable)],
            "clc1/clc",
            "2 nc in service of at least 3; no clc in service",
        ),
        (
            "clc and ufs",
            vec![("ufs1/ufs", Unavailable), ("ufs2/ufs", Unavailable)],
            "ufs1/ufs ufs2/ufs",
            "no ufs in service",
        ),
        (
            "weighted(0.5: nc1/nc=3, nc2/nc, nc3/nc)",
            vec![("nc2/nc", Unavailable), ("nc1/nc", Unavailable)],
            "nc1/nc",
            "1 of 5 in service, 3 needed: nc1/nc is unavailable, nc2/nc is unavailable",
        ),
        (
            "any(own zone: cc and sc and min_nc of nc)",
            vec![("cc1/cc", Unavailable)],
            "cc1/cc",
            "zone one: no cc in service; zone two: 1 nc in service of at least 2",
        ),
        ("should(clc)", vec![("clc1/clc", Unavailable)], "clc1/clc", "no clc in service"),
    ] {
        let grounded = grounded(text);
        let look = grounded.look(&states(&grounded, &not_well));
        let names: Vec<String> = look.because.iter().map(|piece| grounded.pieces[*piece].to_string()).collect();
        assert_eq!(names.join(" "), because, "{text}");
        assert_eq!(look.words.join("; "), words, "{text}");
    }
}

#[test]
fn redundancy_counts_what_may_still_fail() {
    for (text, not_well, left, of) in [
        ("clc", vec![], 0, 0),
        ("ufs", vec![], 1, 1),
        ("ufs", vec![("ufs1/ufs", Unavailable)], 0, 1),
        ("ufs", vec![("ufs1/ufs", Unavailable), ("ufs2/ufs", Unavailable)], 0, 1),
        ("2 of nc", vec![], 2, 2),
        ("any(zone: cc and sc)", vec![], 1, 1),
        ("weighted(0.5: nc1/nc=3, nc2/nc, nc3/nc)", vec![], 0, 0),
        // The same piece by two ways is one piece.
        ("clc1/clc or (clc1/clc and ufs1/ufs)", vec![], 0, 0),
        ("(nc1/nc and nc2/nc) or (nc1/nc and nc3/nc) or (nc2/nc and nc3/nc)", vec![], 1, 1),
        ("should(clc)", vec![], 1, 1),
    ] {
        let grounded = grounded(text);
        let look = grounded.look(&states(&grounded, &not_well));
        assert_eq!(look.redundancy, Some(Redundancy { left, of }), "{text} with {not_well:?}");
    }
    assert_eq!(grounded("walrus").look(&[]).redundancy, None);
}

#[test]
fn every_refusal_has_a_place_and_says_what_to_write() {
    for (text, at, message, help) in [
        ("", 0, "the expression is empty", "write what must be in service"),
        ("clc &", 4, "unexpected `&`", "write `and`"),
        ("not clc", 0, "expected a component type", "a failure never makes a service better"),
        ("clc ufs", 4, "expected `and`, `or` or the end, found `ufs`", "join two pieces"),
        ("clc and", 7, "found the end", ""),
        ("2 nc", 2, "expected `of`, found `nc`", ""),
        ("any(ufs", 7, "expected `)`", ""),
        ("any(big zone: cc)", 4, "expected `zone:`", ""),
        ("hosts:a", 0, "nothing of the sort `hosts:`", "known: host, service"),
        ("weighted(7: a)", 9, "a share is 0 to 1", "weighted(0.6:"),
        ("weighted(0.5: a=0)", 16, "expected a weight", ""),
        ("any(a=2)", 5, "a weight has no meaning here", "weighted"),
        ("3com and clc", 0, "`3com` is no number", "in quotes: `\"3com\"`"),
        ("1.5 of nc", 0, "a count is a whole number", "70% of nc"),
        ("101% of nc", 0, "a share is 0% to 100%", ""),
        ("service:web1", 12, "expected `/`", ""),
        ("\"open", 0, "has no end", "close it"),
        ("in world a (b)", 3, "expected `cloud` or `zone`", ""),
        ("nc >= 2", 3, "unexpected `>`", "at least 2 nc"),
    ] {
        let refusal = Expr::parse(text).expect_err(text);
        assert_eq!(refusal.offset, at, "{text}: {refusal}");
        assert!(refusal.message.contains(message), "{text}: {refusal}");
        assert!(refusal.help.contains(help), "{text}: {}", refusal.help);
    }
    let deep = format!("{}a{}", "(".repeat(100), ")".repeat(100));
    assert!(Expr::parse(&deep).expect_err("too deep").message.contains("nested deeper"));
    assert!(Expr::parse(&"a and ".repeat(5000)).expect_err("too long").message.contains("at most"));
}

/// A catalog without hosts that knows these component types.
fn catalog_of(kinds: &[&str]) -> Catalog {
    let component = |key: &&str| ComponentType {
        key: (*key).into(),
        name: (*key).into(),
        core: true,
        units: Vec::new(),
        processes: Vec::new(),
        ports: Vec::new(),
        jvm: false,
        redundancy_kind: "single".into(),
        redundancy_min: 1,
        depends_on: Vec::new(),
    };
    let platform = Platform {
        key: "eucalyptus".into(),
        version: "1".into(),
        core: None,
        components: kinds.iter().map(component).collect(),
        cells: Vec::new(),
        runbooks: Vec::new(),
    };
    Catalog { platforms: vec![Arc::new(platform)], ..Catalog::default() }
}

#[test]
fn names_that_mean_nothing_are_told_with_what_they_may_mean() {
    let (name, topology): (Arc<str>, Topology) = ("prod".into(), topology());
    let catalog = catalog_of(&["clc", "ufs", "walrus"]);
    let known = Known { clouds: vec![(&name, &topology)], home: Some(0), catalog: Some(&catalog), ..Known::default() };
    let text = "clcc and walrus and in cloud prd (clc) and in zone tow (clc) and nc1/nd and backend:sam1 and max of clc \
                and business:shop and core:prd and host:nc9 and (clc else clcc)";
    let (_, lost) = ground(&Expr::parse(text).expect("well-formed"), &known);
    let told: Vec<String> =
        lost.iter().map(|lost| format!("{} {} {}", lost.what, lost.name, lost.known.join(","))).collect();
    assert_eq!(
        told,
        [
            "component clcc clc,ufs,walrus",
            "cloud prd prod",
            "zone tow front,one,two,vm",
            "component nc1/nd nc1/nc",
            "backend sam1 riak,san1",
            "setting max min_nc",
            "business service shop ",
            "host nc9 ",
        ]
    );
    let (_, lost) = ground(&Expr::parse("clc").expect("well-formed"), &Known { home: None, ..known });
    assert_eq!(lost[0].known, ["in cloud prod (clc)"]);
}

/// An expression as the test understands it, over numbered pieces.
#[derive(Clone, Debug)]
enum Plain {
    Piece(usize),
    And(Vec<Plain>),
    Or(Vec<Plain>),
    Of(usize, Vec<Plain>),
    Weighted(u32, Vec<(Plain, u32)>),
    Should(Box<Plain>),
}

const PIECES: usize = 6;

fn plain() -> impl Strategy<Value = Plain> {
    let leaf = (0..PIECES).prop_map(Plain::Piece);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Plain::And),
            vec(inner.clone(), 1..4).prop_map(Plain::Or),
            (0..5_usize, vec(inner.clone(), 1..4)).prop_map(|(k, of)| Plain::Of(k, of)),
            (0..=1000_u32, vec((inner.clone(), 1..4_u32), 1..4)).prop_map(|(share, of)| Plain::Weighted(share, of)),
            inner.prop_map(|of| Plain::Should(Box::new(of))),
        ]
    })
}

fn text_of(plain: &Plain) -> String {
    let join = |of: &[Plain], between: &str| of.iter().map(text_of).collect::<Vec<_>>().join(between);
    match plain {
        Plain::Piece(n) => format!("h{n}/c"),
        Plain::And(of) => format!("({})", join(of, " and ")),
        Plain::Or(of) => format!("({})", join(of, " or ")),
        Plain::Of(k, of) => format!("{k} of ({})", join(of, ", ")),
        Plain::Weighted(share, of) => {
            let items: Vec<String> = of.iter().map(|(plain, weight)| format!("{}={weight}", text_of(plain))).collect();
            format!("weighted({}.{:03}: {})", share / 1000, share % 1000, items.join(", "))
        }
        Plain::Should(of) => format!("should({})", text_of(of)),
    }
}

/// Without counting: the best state such that the pieces that have it at least would do if all others were gone.
fn holds(plain: &Plain, at_least: State, states: &[State]) -> bool {
    let count = |of: &[Plain]| of.iter().filter(|plain| holds(plain, at_least, states)).count();
    match plain {
        Plain::Piece(n) => states[*n] >= at_least,
        Plain::And(of) => count(of) == of.len(),
        Plain::Or(of) => count(of) > 0,
        Plain::Of(k, of) => count(of) >= *k,
        Plain::Weighted(share, of) => {
            let total: u32 = of.iter().map(|(_, weight)| weight).sum();
            let up: u32 = of.iter().filter(|(plain, _)| holds(plain, at_least, states)).map(|(_, weight)| weight).sum();
            up * 1000 >= total * share
        }
        Plain::Should(of) => at_least <= Degraded || holds(of, at_least, states),
    }
}

fn brute(plain: &Plain, states: &[State]) -> State {
    [Available, Degraded, Unknown].into_iter().find(|state| holds(plain, *state, states)).unwrap_or(Unavailable)
}

/// The grounded expression, and for each of its pieces the number that the test knows it by.
fn ground_plain(plain: &Plain) -> (Grounded, Vec<usize>) {
    let hosts: BTreeMap<Arc<str>, Vec<Arc<str>>> =
        (0..PIECES).map(|n| (format!("h{n}").into(), vec!["c".into()])).collect();
    let (name, topology): (Arc<str>, _) = ("prod".into(), Topology { hosts, ..Topology::default() });
    let known = Known { clouds: vec![(&name, &topology)], home: Some(0), ..Known::default() };
    let expr = Expr::parse(&text_of(plain)).expect("the test writes well-formed text");
    assert_eq!(Expr::parse(&expr.to_string()).as_ref(), Ok(&expr), "{expr}");
    let (grounded, lost) = ground(&expr, &known);
    assert!(lost.is_empty(), "{lost:?}");
    let number = |piece: &stentor_core::availability::Piece| piece.name[1..].parse().expect("h0 to h5");
    let numbers = grounded.pieces.iter().map(number).collect();
    (grounded, numbers)
}

fn state() -> impl Strategy<Value = State> {
    proptest::sample::select(State::ALL.to_vec())
}

/// The size of the smallest of all sets of pieces for which this holds.
fn smallest(pieces: usize, holds: impl Fn(u32) -> bool) -> Option<u32> {
    (0..1_u32 << pieces).filter(|set| holds(*set)).map(u32::count_ones).min()
}

/// No piece twice: there the tree is exact.
fn is_read_once(plain: &Plain, seen: &mut [bool]) -> bool {
    match plain {
        Plain::Piece(n) => !std::mem::replace(&mut seen[*n], true),
        Plain::And(of) | Plain::Or(of) | Plain::Of(_, of) => of.iter().all(|plain| is_read_once(plain, seen)),
        Plain::Weighted(_, of) => of.iter().all(|(plain, _)| is_read_once(plain, seen)),
        Plain::Should(of) => is_read_once(of, seen),
    }
}

fn has_weights(plain: &Plain) -> bool {
    match plain {
        Plain::Piece(_) => false,
        Plain::And(of) | Plain::Or(of) | Plain::Of(_, of) => of.iter().any(has_weights),
        Plain::Weighted(..) => true,
        Plain::Should(of) => has_weights(of),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}", at in 0..60_usize) {
        let _ = Expr::parse(&text);
        let well = "weighted(0.6: in zone \"a b\" (any(own zone: 2 of nc))=2, should(service:x/\"y\") else host:a)";
        let cut: String = well.chars().take(at).chain(text.chars()).collect();
        if let Err(refusal) = Expr::parse(&cut) {
            prop_assert!(refusal.offset <= cut.len());
        }
    }

    #[test]
    fn any_soup_of_words_is_read_or_refused_and_what_is_read_reads_back(
        words in vec(proptest::sample::select(vec!["and", "or", "else", "(", ")", "clc", "any", "all", "2", "of", "at",
            "least", "zone", ":", "own", "in", "cloud", "x/y", "\"a b\"", "host:h", "weighted(0.5:", "=2", ",", "should",
            "70%", "majority", "nc", "min_nc", "business:b", "not", "0.25"]), 0..16)
    ) {
        let text = words.join(" ");
        match Expr::parse(&text) {
            Ok(expr) => {
                prop_assert_eq!(&Expr::parse(&expr.to_string()).expect("its own text"), &expr);
                let json = serde_json::to_string(&expr).expect("text");
                prop_assert_eq!(serde_json::from_str::<Expr>(&json).expect("text"), expr);
            }
            Err(refusal) => prop_assert!(refusal.offset <= text.len(), "{}", refusal),
        }
    }

    #[test]
    fn evaluation_matches_brute_force(plain in plain(), states in vec(state(), PIECES)) {
        let (grounded, numbers) = ground_plain(&plain);
        let own: Vec<State> = numbers.iter().map(|n| states[*n]).collect();
        prop_assert_eq!(grounded.state(&own), brute(&plain, &states));
    }

    #[test]
    fn a_piece_that_gets_worse_never_makes_a_service_better(
        plain in plain(), states in vec(state(), PIECES), at in 0..PIECES, worse in state()
    ) {
        let (grounded, numbers) = ground_plain(&plain);
        let before: Vec<State> = numbers.iter().map(|n| states[*n]).collect();
        let after: Vec<State> =
            numbers.iter().map(|n| if *n == at { states[*n].min(worse) } else { states[*n] }).collect();
        prop_assert!(grounded.state(&after) <= grounded.state(&before));
    }

    #[test]
    fn the_reason_alone_is_reason_enough_and_the_smallest(plain in plain(), states in vec(state(), PIECES)) {
        let (grounded, numbers) = ground_plain(&plain);
        let own: Vec<State> = numbers.iter().map(|n| states[*n]).collect();
        let look = grounded.look(&own);
        prop_assume!(look.state < Available);
        let only = |keep: &dyn Fn(usize) -> bool| -> Vec<State> {
            own.iter().enumerate().map(|(i, state)| if keep(i) { *state } else { Available }).collect()
        };
        prop_assert!(grounded.state(&only(&|i| look.because.contains(&i))) <= look.state);
        prop_assert!(look.because.iter().all(|i| own[*i] < Available));
        if is_read_once(&plain, &mut [false; PIECES]) && !has_weights(&plain) {
            let least = smallest(own.len(), |set| grounded.state(&only(&|i| set >> i & 1 == 1)) <= look.state);
            prop_assert_eq!(Some(look.because.len() as u32), least);
        }
    }

    #[test]
    fn redundancy_is_never_promised_that_is_not_there(plain in plain(), states in vec(state(), PIECES)) {
        let (grounded, numbers) = ground_plain(&plain);
        let own: Vec<State> = numbers.iter().map(|n| states[*n]).collect();
        let left = grounded.look(&own).redundancy.expect("something is registered").left;
        let without = |set: u32| -> Vec<State> {
            own.iter().enumerate().map(|(i, state)| if set >> i & 1 == 1 { Unavailable } else { *state }).collect()
        };
        let kills = smallest(own.len(), |set| grounded.state(&without(set)) == Unavailable);
        match kills {
            Some(kills) => {
                prop_assert!(left <= kills.saturating_sub(1), "{} survives {left}, {kills} kill it", text_of(&plain));
                if is_read_once(&plain, &mut [false; PIECES]) {
                    prop_assert_eq!(left, kills.saturating_sub(1));
                }
            }
            None => prop_assert!(left <= own.len() as u32),
        }
    }
}
