use super::headend;
use crate::kit::temp::TempDir;

#[test]
fn help_starts_with_an_example_for_every_verb() {
    let here = TempDir::new("help");
    let verbs: [&[&str]; 12] = [
        &[],
        &["demo"],
        &["serve"],
        &["simulate"],
        &["config"],
        &["meters"],
        &["reads"],
        &["export"],
        &["issues"],
        &["import"],
        &["dlq"],
        &["bench"],
    ];
    for verb in verbs {
        let args: Vec<&str> = verb.iter().copied().chain(["--help"]).collect();
        let ended = headend(here.path(), &args, &[]);
        assert_eq!(ended.code, 0, "{args:?}");
        assert!(ended.stdout.starts_with("Example:  headend "), "{args:?}: {}", ended.stdout);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn a_mistyped_verb_gets_a_suggestion_and_64() {
    let here = TempDir::new("typo");
    let ended = headend(here.path(), &["metres"], &[]);
    assert_eq!(ended.code, 64);
    assert!(ended.stderr.contains("'meters'"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    for args in [&[][..], &["meters", "list", "--lmit", "5"], &["issues", "show", "x"]] {
        assert_eq!(headend(here.path(), args, &[]).code, 64, "{args:?}");
    }
}

#[test]
fn no_colour_and_no_control_characters_reach_a_pipe() {
    let here = TempDir::new("plain");
    for args in [&["--help"][..], &["nonsense"], &["config", "show"]] {
        let ended = headend(here.path(), args, &[]);
        assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'), "{args:?}");
    }
}
