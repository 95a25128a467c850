//! The known name that a mistyped one was meant to be.

/// The known name with the fewest edits, if those are few for its length.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong: Vec<char> = wrong.to_lowercase().chars().take(NAME_CHARS_MAX + 1).collect();
    if wrong.len() > NAME_CHARS_MAX {
        return None;
    }
    let allowed = (wrong.len() / 3).clamp(1, 3);
    known
        .into_iter()
        // An edit changes the length by one at most. Bytes are at least characters, so short bytes are short names.
        .filter(|name| name.len() + allowed >= wrong.len() && name.len() <= 4 * (wrong.len() + allowed))
        .map(|name| (edits(&wrong, &name.to_lowercase().chars().collect::<Vec<char>>()), name))
        .filter(|(edits, _)| *edits <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Nobody mistypes longer names; comparing them costs the product of their lengths.
const NAME_CHARS_MAX: usize = 100;

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}
