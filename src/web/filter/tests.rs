//! The filter language: what it finds, what it refuses, and that it never panics.

use proptest::prelude::*;

use super::*;

/// A row of a list in the shape that the tests need.
struct Seen {
    state: StateWord,
    level: Level,
    host: &'static str,
    out: &'static str,
    facts: &'static [Fact],
    age_min: i64,
    owner: Option<&'static str>,
}

const ROW: Seen = Seen {
    state: StateWord::Critical,
    level: Level::AtRisk,
    host: "nc-osl-07",
    out: "connection refused: port 8774",
    facts: &[Fact::Soft],
    age_min: 90,
    owner: Some("mara"),
};

impl Subject for Seen {
    fn is_state(&self, word: StateWord) -> bool {
        word == self.state || (word == StateWord::Problem && self.state != StateWord::Ok)
    }
    fn level(&self) -> Level {
        self.level
    }
    fn any(&self, field: TextField, hit: &mut dyn FnMut(&str) -> bool) -> bool {
        match field {
            TextField::Host => hit(self.host),
            TextField::Out => hit(self.out),
            _ => false,
        }
    }
    fn has_type(&self, failure_type: FailureType) -> bool {
        failure_type == FailureType::Software
    }
    fn is(&self, fact: Fact) -> bool {
        self.facts.contains(&fact)
    }
    fn age(&self) -> Option<Span> {
        Some(Span::from_mins(self.age_min))
    }
    fn checked(&self) -> Option<Span> {
        None
    }
    fn owner(&self) -> Option<&str> {
        self.owner
    }
    fn perf(&self, label: &str) -> Option<f64> {
        (label == "put_p95").then_some(812.0)
    }
    fn free(&self, hit: &mut dyn FnMut(&str) -> bool) -> bool {
        hit(self.host) || hit(self.out)
    }
}

#[test]
fn every_kind_of_term_filters() {
    for (query, expected) in [
        ("", true),
        ("state:critical,warning", true),
        ("state:ok", false),
        ("state:problem", true),
        ("-state:problem", false),
        ("impact:>=risk", true),
        ("impact:>risk", false),
        ("impact:degraded,risk", true),
        ("host:nc-osl-*", true),
        ("host:NC-OSL-07", true),
        ("host:nc-osl", false),
        ("host:*-07", true),
        ("host:nc-bgo-*,nc-osl-0*", true),
        ("host:n*-*-07", true),
        ("host:n*-*-08", false),
        ("is:handled", false),
        ("-is:handled", true),
        ("is:handled,soft", true),
        ("age:>1h", true),
        ("age:>2h", false),
        ("age:<2h", true),
        ("age:90m", true),
        ("checked:>10m", false),
        ("type:software", true),
        ("type:server", false),
        ("owner:me", true),
        ("owner:mara", true),
        ("owner:ida", false),
        ("perf:put_p95>600", true),
        ("perf:put_p95>=812", true),
        ("perf:put_p95<600", false),
        ("perf:other>1", false),
        ("out:\"connection refused\"", true),
        ("out:timeout", false),
        ("\"port 8774\"", true),
        ("refused", true),
        ("-refused", false),
        ("state:critical host:nc-* -is:handled", true),
        ("state:critical host:cc-*", false),
        ("sort:impact,state,-age", true),
    ] {
        let filter = Filter::parse(query);
        assert_eq!(filter.wrong, [], "{query}");
        assert_eq!(filter.matches(&ROW, "Mara"), expected, "{query}");
    }
}

#[test]
fn a_wrong_term_is_named_with_a_suggestion_and_the_rest_still_filters() {
    for (query, why) in [
        ("sate:critical host:cc-*", "no field `sate`; did you mean `state`?"),
        ("state:crtical host:cc-*", "no state `crtical`; did you mean `critical`?"),
        ("is:stael host:cc-*", "no fact `stael`; did you mean `stale`?"),
        ("impact:>=rsik host:cc-*", "no impact `rsik`; did you mean `risk`?"),
        ("sort:imapct host:cc-*", "cannot sort by `imapct`; did you mean `impact`?"),
        ("state: host:cc-*", "`state:` needs a value"),
        ("perf:put_p95 host:cc-*", "`put_p95` is not a comparison such as `put_p95>600`"),
    ] {
        let filter = Filter::parse(query);
        assert_eq!(filter.wrong.len(), 1, "{query}: {:?}", filter.wrong);
        assert_eq!(filter.wrong[0].why, why);
        assert!(!filter.matches(&ROW, "mara"), "{query}: the good term no longer filters");
    }
    assert!(Filter::parse("age:>1parsec").wrong[0].why.contains("is not a duration"));
}

#[test]
fn terms_can_be_taken_away_and_added() {
    let filter = Filter::parse("state:problem -is:handled \"two words\" sort:state,-age");
    assert_eq!(filter.without(1), "state:problem \"two words\" sort:state,-age");
    assert_eq!(filter.with("cloud:ecc"), "state:problem -is:handled \"two words\" cloud:ecc sort:state,-age");
    assert_eq!(filter.sort[1], Sort { key: SortKey::Age, reversed: true });
}

#[test]
fn addresses_and_open_quotes_are_text() {
    let filter = Filter::parse("http://cc-01:8774/ \"open quote");
    assert_eq!(filter.wrong, []);
    assert_eq!(filter.terms.len(), 2);
    assert!(matches!(filter.terms[0].test, Test::Free(_)));
}

#[test]
fn a_very_long_filter_is_cut_and_says_so() {
    let filter = Filter::parse(&"ø".repeat(5000));
    assert_eq!(filter.wrong.len(), 1);
    let many = "a ".repeat(200);
    assert_eq!(Filter::parse(&many).terms.len(), TERMS_MAX);
}

proptest! {
    #[test]
    fn no_input_breaks_the_parser(input in ".{0,300}") {
        let filter = Filter::parse(&input);
        let _ = filter.matches(&ROW, "mara");
        for i in 0..filter.terms.len() {
            let _ = Filter::parse(&filter.without(i));
        }
    }

    #[test]
    fn inputs_that_look_like_filters_do_not_break_it(
        parts in proptest::collection::vec("-?(state|is|age|perf|impact|host|sort|out)?:?[<>=]{0,2}[a-z0-9*,\"]{0,8}", 0..12)
    ) {
        let _ = Filter::parse(&parts.join(" ")).matches(&ROW, "mara");
    }

    /// What is printed for the chips' links reads back as the same terms.
    #[test]
    fn the_text_of_a_filter_reads_back(
        parts in proptest::collection::vec("-?(state:(ok|problem)|is:(soft|stale)|age:>[1-9]h|host:[a-z]{1,4}\\*?|[a-z]{1,6})", 0..8)
    ) {
        let filter = Filter::parse(&parts.join(" "));
        let again = Filter::parse(&filter.without(usize::MAX));
        prop_assert_eq!(filter.terms, again.terms);
    }
}
