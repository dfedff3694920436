//! Completions for shells, made of the table of commands.

use super::commands::{COMMANDS, Command};

/// The shells.
pub(super) const SHELLS: &[&str] = &["bash", "fish", "zsh"];

/// What a shell has to read.
pub(super) fn of(shell: &str) -> String {
    match shell {
        "fish" => fish(),
        "zsh" => zsh(),
        _ => bash(),
    }
}

/// Every word that may follow a command.
fn following(command: &Command) -> String {
    let choices = command.operands.iter().flat_map(|operand| operand.choices);
    let flags = command.flags.iter().map(|flag| format!("--{}", flag.name));
    let all: Vec<String> = choices.map(|word| (*word).to_owned()).chain(flags).collect();
    all.join(" ")
}

/// Every first word, once.
fn firsts() -> Vec<&'static str> {
    let first = |command: &'static Command| command.name.split(' ').next().unwrap_or_default();
    let mut all: Vec<&str> = COMMANDS.iter().map(first).collect();
    all.dedup();
    all
}

/// Every second word of the commands that begin with `first`.
fn seconds(first: &str) -> String {
    let words = COMMANDS.iter().filter_map(|command| command.name.split_once(' '));
    let all: Vec<&str> =
        words.filter(|(word, _)| *word == first).map(|(_, second)| second).collect();
    all.join(" ")
}

fn bash() -> String {
    let mut out = String::from(
        "_refit_agent() {\n    \
         local current=${COMP_WORDS[COMP_CWORD]} words=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\"\n    \
         local choices\n    \
         case \"$words \" in\n",
    );
    for command in COMMANDS {
        out.push_str(&format!("    *'{} '*) choices='{}' ;;\n", command.name, following(command)));
    }
    for first in firsts().iter().filter(|first| !seconds(first).is_empty()) {
        out.push_str(&format!("    *'{first} '*) choices='{}' ;;\n", seconds(first)));
    }
    out.push_str(&format!("    *) choices='{} --version' ;;\n", firsts().join(" ")));
    out + "    esac\n    \
           COMPREPLY=($(compgen -W \"$choices --config --help\" -- \"$current\"))\n}\n\
           complete -o default -F _refit_agent refit-agent\n"
}

/// A text in single quotes, for fish and zsh.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn fish() -> String {
    let mut out = String::from(
        "complete -c refit-agent -l config -r -d 'The configuration'\n\
         complete -c refit-agent -s h -l help -d 'Explain a command, or all'\n\
         complete -c refit-agent -n __fish_use_subcommand -s V -l version\n",
    );
    for first in firsts() {
        let about = COMMANDS.iter().find(|command| command.name == first);
        let about = quoted(about.map_or("About the configuration", |command| command.about));
        out.push_str(&format!(
            "complete -c refit-agent -n __fish_use_subcommand -a {first} -d {about}\n"
        ));
    }
    for command in COMMANDS {
        let mut words = command.name.split(' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        let mut seen = format!("__fish_seen_subcommand_from {first}");
        if let Some(second) = second {
            let about = quoted(command.about);
            out.push_str(&format!("complete -c refit-agent -n '{seen}' -a {second} -d {about}\n"));
            seen.push_str(&format!("; and __fish_seen_subcommand_from {second}"));
        }
        for flag in command.flags {
            let (name, about) = (flag.name, quoted(flag.about));
            let value = if flag.value.is_some() { " -r" } else { "" };
            out.push_str(&format!(
                "complete -c refit-agent -n '{seen}' -l {name}{value} -d {about}\n"
            ));
        }
        for choice in command.operands.iter().flat_map(|operand| operand.choices) {
            out.push_str(&format!("complete -c refit-agent -n '{seen}' -a {choice}\n"));
        }
    }
    out
}

fn zsh() -> String {
    let mut out = String::from("#compdef refit-agent\nlocal -a commands\ncommands=(\n");
    for first in firsts() {
        let about = COMMANDS.iter().find(|command| command.name == first);
        let about = about.map_or("About the configuration", |command| command.about);
        out.push_str(&format!("    {}\n", quoted(&format!("{first}:{about}"))));
    }
    out.push_str(
        ")\nif (( CURRENT == 2 )); then\n    _describe command commands\n    return\nfi\n\
         case \"$words[2] $words[3]\" in\n",
    );
    for command in COMMANDS {
        let words = following(command);
        out.push_str(&format!("({}*) compadd -- {words} --config --help ;;\n", glob(command.name)));
    }
    for first in firsts().iter().filter(|first| !seconds(first).is_empty()) {
        out.push_str(&format!("({first}*) compadd -- {} ;;\n", seconds(first)));
    }
    out + "esac\n_files\n"
}

/// A name as a pattern of zsh: the blank is escaped.
fn glob(name: &str) -> String {
    name.replace(' ', "\\ ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command as Program;

    /// What bash offers at the end of `line`.
    fn offered(line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let script = format!(
            "{}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_refit_agent\necho \"${{COMPREPLY[@]}}\"",
            bash(),
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1,
        );
        let output = Program::new("bash").args(["-c", &script]).output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn bash_completes() {
        let check = |line: &str, want: &str| assert_eq!(offered(line), want, "{line}");
        check("refit-agent sta", "status");
        check("refit-agent status --w", "--why");
        check("refit-agent config ex", "example");
        check("refit-agent config migrate --d", "--dry-run");
        check("refit-agent --config /a automatic ch", "check");
        check("refit-agent completions z", "zsh");
    }

    #[test]
    fn all_shells_know_every_word() {
        for shell in SHELLS {
            let script = of(shell);
            for command in COMMANDS {
                let words =
                    command.name.split(' ').chain(command.flags.iter().map(|flag| flag.name));
                for word in words {
                    assert!(script.contains(word), "{shell}: {word}");
                }
            }
        }
    }
}
