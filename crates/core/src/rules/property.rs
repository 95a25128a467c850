//! Property tests of the expression language: any text, any tree, any observation.

use proptest::prelude::*;

use super::expr::{Node, Op};
use super::{Expr, Rule, judge, parse};
use crate::model::{Observation, ServiceState, Value};

const OPS: [Op; 14] = [
    Op::Or,
    Op::And,
    Op::Eq,
    Op::Ne,
    Op::Lt,
    Op::Le,
    Op::Gt,
    Op::Ge,
    Op::In,
    Op::Contains,
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Div,
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,4}(\\.[a-z]{1,3})?", "[ -~]{1,6}", Just("and".to_owned()), Just("params.x".to_owned())]
}

fn tree() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        (0.0..1e12f64).prop_map(Node::Number),
        (0u32..500).prop_map(|n| Node::Number(f64::from(n))),
        "\\PC{0,8}".prop_map(Node::Text),
        name().prop_map(Node::Name),
        name().prop_map(Node::Present),
        name().prop_map(Node::Absent),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Node::List),
            inner.clone().prop_map(|n| Node::Not(Box::new(n))),
            inner.clone().prop_map(|n| Node::Negate(Box::new(n))),
            (prop::sample::select(OPS.to_vec()), inner.clone(), inner).prop_map(|(op, a, b)| Node::Binary(
                op,
                Box::new(a),
                Box::new(b)
            )),
        ]
    })
}

fn observation() -> impl Strategy<Value = Observation> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_map(Value::Number),
        "[a-c]{0,3}".prop_map(Value::Text),
    ];
    prop::collection::vec(("[a-c]{1,2}", value), 0..6).prop_map(|facts| {
        facts.into_iter().fold(Observation::observed("x"), |seen, (name, value)| seen.fact(&name, value))
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,120}") {
        if let Err(refusal) = Expr::parse(&text) {
            prop_assert!(refusal.offset <= text.len());
        }
    }

    #[test]
    fn no_likely_text_panics(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b.c", "==", "=", "(", ")", "[", "]", ",", "not", "and", "or", "in", "-", "1", "2.5", "\"x\"",
                "'", "`", "present", "contains", "\\", "é",
            ]),
            0..20,
        ),
        glue in prop::sample::select(vec!["", " "]),
    ) {
        let _ = Expr::parse(&words.join(glue));
    }

    #[test]
    fn every_truncation_of_a_condition_is_read_or_refused(cut in 0usize..60) {
        let whole = "not (port in [\"é\", 'b'] and `load 1` >= -params.x * 2.5) or absent(a.b)";
        if let Some(part) = whole.get(..cut) {
            let _ = Expr::parse(part);
        }
    }

    #[test]
    fn what_is_printed_reads_back_the_same(node in tree()) {
        // The condition around it makes any tree a claim.
        let claim = Node::Binary(Op::Eq, Box::new(node), Box::new(Node::Null));
        let text = claim.to_string();
        let again = parse::parse(&text);
        prop_assert_eq!(again.as_ref(), Ok(&claim), "{}", text);
        let expr = Expr::parse(&text).expect("just read");
        let json = serde_json::to_string(&expr).expect("text");
        prop_assert_eq!(serde_json::from_str::<Expr>(&json).expect("own text"), expr);
    }

    #[test]
    fn every_condition_judges_every_observation(node in tree(), seen in observation()) {
        let claim = Node::Binary(Op::Eq, Box::new(node), Box::new(Node::Null));
        let when = Expr::parse(&claim.to_string()).expect("printed");
        let rules = [Rule { when, state: ServiceState::Critical, source: "".into() }];
        let judged = judge(&rules, &Value::Null, &seen);
        prop_assert_eq!(judged.cause.is_some(), judged.state == ServiceState::Unknown);
    }
}

#[test]
fn a_condition_that_cannot_be_read_is_a_clean_error() {
    let refusal = serde_json::from_str::<Expr>("\"a = 1\"").expect_err("not a condition").to_string();
    assert!(refusal.contains("`a = 1`") && refusal.contains("write `==`"), "{refusal}");
}
