//! What people are told to type can be typed: commands of `lockstep`, and make targets.

use std::collections::BTreeSet;
use std::process::Command;

use crate::pages::{Page, no, page, pages, read, rows, spans, split};

/// Lines that a page tells people to type: after `$ ` in console blocks, continued lines joined.
fn typed(page: &Page) -> Vec<String> {
    let blocks = split(&page.text).0;
    let console = blocks.iter().filter(|block| block.language == "console");
    let joined = console.map(|block| block.text.replace("\\\n", " "));
    joined
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.strip_prefix("$ ").map(ToOwned::to_owned))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The commands of a shell line as words: quotes hold words together, comments and redirections are left out.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '#' => break,
            '|' | ';' | '&' => {
                commands.push(Vec::new());
                rest = rest.trim_start_matches(['|', ';', '&', ' ']);
                continue;
            }
            '\'' | '"' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_at(rest.find([' ', '|', ';']).unwrap_or(rest.len())),
        };
        rest = after.trim_start();
        if word.starts_with(['>', '<']) {
            // The file that follows is no argument.
            rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
        } else {
            commands.last_mut().unwrap().push(word.to_owned());
        }
    }
    commands
}

/// `lockstep` understands the arguments: `--help` after them makes it stop there.
fn understood(arguments: &[String]) -> bool {
    let output = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    output.status.code() == Some(0)
}

/// Every `lockstep` command that is typed or spoken of can be parsed.
fn wrong_commands(page: &Page) -> Vec<String> {
    let mut tried: BTreeSet<Vec<String>> = BTreeSet::new();
    for command in typed(page).iter().flat_map(|line| commands(line)) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words[..] {
            ["lockstep", ..] => {
                tried.insert(command[1..].to_vec());
            }
            ["kubectl", "lockstep", ..] => {
                tried.insert(command[2..].to_vec());
            }
            _ => {}
        }
    }
    // In prose only the command itself: what follows may be an object's name or a placeholder.
    for span in spans(&split(&page.text).1) {
        let spoken = span
            .strip_prefix("kubectl ")
            .unwrap_or(span)
            .strip_prefix("lockstep ");
        let words = spoken.into_iter().flat_map(str::split_whitespace);
        let plain: Vec<String> = words
            .take(1)
            .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            .map(ToOwned::to_owned)
            .collect();
        if !plain.is_empty() {
            tried.insert(plain);
        }
    }
    let wrong = tried.into_iter().filter(|arguments| !understood(arguments));
    wrong
        .map(|arguments| format!("{}: lockstep {}", page.path.display(), arguments.join(" ")))
        .collect()
}

/// Every make target that is typed or spoken of exists.
fn wrong_targets(page: &Page) -> Vec<String> {
    let makefile = read("Makefile");
    let typed = typed(page);
    let prose = split(&page.text).1;
    let named = typed
        .iter()
        .flat_map(|line| commands(line))
        .chain(spans(&prose).flat_map(commands))
        .filter(|words| words.first().is_some_and(|word| word == "make"))
        .flat_map(|words| words.into_iter().skip(1).collect::<Vec<_>>())
        .filter(|word| !word.contains('='));
    named
        .filter(|target| {
            !makefile
                .lines()
                .any(|line| line.starts_with(&format!("{target}:")))
        })
        .map(|target| format!("{}: make has no target {target}", page.path.display()))
        .collect()
}

#[test]
fn every_command_is_understood() {
    no(pages().iter().flat_map(wrong_commands).collect());
}

/// Subcommands as `lockstep --help` lists them.
fn subcommands() -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    rest.lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn every_subcommand_has_a_section_and_no_other() {
    let commands = subcommands();
    assert!(commands.len() > 5, "{commands:?}");
    let text = read("docs/cli.md");
    let sections: BTreeSet<String> = split(&text)
        .1
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(sections, commands.into_iter().collect());
    for section in &sections {
        let told = rows(&text)
            .into_iter()
            .any(|(_, cells)| cells[0] == format!("[`{section}`](#{section})"));
        assert!(told, "the table of commands leaves out {section}");
    }
}

#[test]
fn every_make_target_exists() {
    no(pages().iter().flat_map(wrong_targets).collect());
}

#[test]
fn what_nobody_understands_is_noticed() {
    for (typed, right) in [
        ("lockstep crds", true),
        ("lockstep crds --output json > crds.json", true),
        (
            "lockstep access who-can 'project/ml/fraud refs/heads/prod' # why",
            true,
        ),
        ("lockstep approve a/b --reason team moved away", false),
        ("echo x | lockstep plan -f - && lockstep dance", false),
        ("kubectl lockstep crds", true),
        ("lockstep dance", false),
        ("lockstep crds --colour", false),
        ("cat x | lockstep crds --output xml", false),
    ] {
        let found = wrong_commands(&page("docs/x.md", &format!("```console\n$ {typed}\n```\n")));
        assert_eq!(found.is_empty(), right, "{typed}");
    }
    assert!(!wrong_commands(&page("docs/x.md", "`lockstep dance` is none\n")).is_empty());
    assert!(!wrong_targets(&page("docs/x.md", "`make love`\n")).is_empty());
    assert!(wrong_targets(&page("docs/x.md", "`make up KUBECONFIG=FILE`\n")).is_empty());
}
