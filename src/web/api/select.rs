//! `?q=` of lists: the filter language of the pages, with a refusal where the pages show a hint.

use crate::web::filter::Filter;
use crate::web::problem::Problem;

/// # Errors
/// A term cannot be understood: answering with other rows than were asked for would mislead a program.
pub fn filter(q: &str) -> Result<Filter, Problem> {
    let filter = Filter::parse(q);
    match filter.wrong.first() {
        None => Ok(filter),
        Some(wrong) => Err(Problem::invalid(format!("`q`: `{}`: {}", wrong.text, wrong.why))),
    }
}
