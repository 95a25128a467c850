//! How line services introduce themselves: the banner of SSH, answers of SMTP, answers of IMAP.

/// RFC 4253 §4.2: `SSH-2.0-OpenSSH_9.2p1 Debian-2`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SshBanner {
    pub protocol: String,
    pub software: String,
    pub comment: String,
}

/// Reads a banner; `None` for the lines that a server may send before it, and for anything else.
pub fn ssh_banner(line: &str) -> Option<SshBanner> {
    let (version, comment) = line.split_once(' ').unwrap_or((line, ""));
    let (protocol, software) = version.strip_prefix("SSH-")?.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !is_number(protocol) || software.is_empty() {
        return None;
    }
    Some(SshBanner { protocol: protocol.to_owned(), software: software.to_owned(), comment: comment.to_owned() })
}

/// RFC 5321 §4.2: `250-SIZE 1000`, `250 HELP`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SmtpLine {
    pub code: u16,
    /// Further lines of the same answer follow.
    pub is_more: bool,
    pub text: String,
}

/// Reads one line of an answer.
pub fn smtp_line(line: &str) -> Option<SmtpLine> {
    let (code, rest) = line.split_at_checked(3)?;
    if !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let code = code.parse().ok().filter(|code| (200..600).contains(code))?;
    let (is_more, text) = match rest.chars().next() {
        None => (false, ""),
        Some(' ') => (false, rest.get(1..)?),
        Some('-') => (true, rest.get(1..)?),
        Some(_) => return None,
    };
    Some(SmtpLine { code, is_more, text: text.to_owned() })
}

/// RFC 3501 §7: the tag (`*` for what was not asked for), the word, and the rest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImapLine {
    pub tag: String,
    /// In capitals: `OK`, `NO`, `BAD`, `BYE`, `PREAUTH`, `CAPABILITY`.
    pub word: String,
    pub rest: String,
}

/// Reads one line of an answer.
pub fn imap_line(line: &str) -> Option<ImapLine> {
    let mut parts = line.splitn(3, ' ');
    let (tag, word) = (parts.next()?, parts.next()?);
    let is_tag = tag == "*" || (!tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_tag || !is_word {
        return None;
    }
    let rest = parts.next().unwrap_or_default().to_owned();
    Some(ImapLine { tag: tag.to_owned(), word: word.to_ascii_uppercase(), rest })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn banners_have_a_protocol_and_a_program() {
        let banner = ssh_banner("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u6").unwrap();
        assert_eq!(
            (&*banner.protocol, &*banner.software, &*banner.comment),
            ("2.0", "OpenSSH_9.2p1", "Debian-2+deb12u6")
        );
        assert_eq!(ssh_banner("SSH-1.99-x-y").map(|banner| banner.software).as_deref(), Some("x-y"));
        for line in ["", "SSH-", "SSH-2.0", "SSH-2.0-", "SSH-x-y", "ssh-2.0-x", "220 mail"] {
            assert_eq!(ssh_banner(line), None, "{line}");
        }
    }

    #[test]
    fn answers_of_mail_servers_go_on_or_end() {
        let read = |line| smtp_line(line).map(|line| (line.code, line.is_more, line.text));
        assert_eq!(read("250-SIZE 10"), Some((250, true, "SIZE 10".into())));
        assert_eq!(read("220 mail ready"), Some((220, false, "mail ready".into())));
        assert_eq!(read("250"), Some((250, false, String::new())));
        for line in ["", "25", "250x", "999 x", "+50 x", "abc", "25é"] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn answers_of_imap_have_a_tag_and_a_word() {
        let line = imap_line("* ok [CAPABILITY IMAP4rev1] ready").unwrap();
        assert_eq!((&*line.tag, &*line.word, &*line.rest), ("*", "OK", "[CAPABILITY IMAP4rev1] ready"));
        assert_eq!(imap_line("a1 OK").map(|line| line.rest).as_deref(), Some(""));
        for line in ["", "*", "* ", "+ go", "* 3 EXISTS", "220 x"] {
            assert!(imap_line(line).is_none_or(|line| line.word == "X"), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,40}", near in "(SSH|[0-9]{0,3}|[ *.-]|OK){0,6}") {
            for line in [line, near] {
                let _ = (ssh_banner(&line), smtp_line(&line), imap_line(&line));
            }
        }
    }
}
