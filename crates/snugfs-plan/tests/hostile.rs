//! Plans of extreme sizes. The crate `fuzz-bodies` generates other hostile inputs.

#![expect(clippy::unwrap_used, reason = "what a test can't do without ends it")]

use std::path::Path;

/// Checks that a plan is rejected with errors of bounded length, and returns the first one.
fn refused(plan: &[u8]) -> String {
    let problems = snugfs_plan::parse(plan, Path::new("/base")).map(|_| ()).unwrap_err();
    assert!((1..=1001).contains(&problems.len()), "{}", problems.len());
    problems.iter().next().unwrap().to_string()
}

#[test]
fn large_and_deep_plans_are_refused_in_time() {
    let mut many = br#"{"version": 1, "filesystem": {"#.to_vec();
    for index in 0..200_000 {
        many.extend_from_slice(format!("\"lab{index}\": 0, ").as_bytes());
    }
    many.extend_from_slice(br#""label": ""}}"#);
    refused(&many);

    let long_path =
        format!(r#"{{"version": 1, "trees": [{{"source": "a", "target": "{}"}}]}}"#, "/a".repeat(1 << 20));
    refused(long_path.as_bytes());
    let long_name = format!(r#"{{"version": 1, "{}": 0}}"#, "a".repeat(1 << 22));
    refused(long_name.as_bytes());
    refused(&b"[".repeat(1 << 22));
    let many_values =
        refused(&[&b"{\"version\": 1, \"trees\": ["[..], &b"0,".repeat(1 << 23), b"0]}"].concat());
    assert!(many_values.contains(": more than 8388608 values; make it smaller, "), "{many_values}");
}

#[test]
fn a_plan_has_at_most_127_levels() {
    let first = |levels: usize| {
        let plan = [b"[".repeat(levels), b"]".repeat(levels)].concat();
        let problems = snugfs_plan::parse(&plan, Path::new("/base")).map(|_| ()).unwrap_err();
        problems.to_string().lines().next().unwrap_or_default().to_owned()
    };
    assert!(!first(127).contains("levels"), "{}", first(127));
    for levels in [128, 129, 1000] {
        let told = first(levels);
        assert!(told.ends_with(": has more than 127 levels of nesting; nest it less deeply"), "{told}");
    }
}
