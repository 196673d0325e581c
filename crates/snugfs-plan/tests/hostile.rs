//! Plans of extreme sizes. The crate `fuzz-bodies` generates other hostile inputs.

use std::path::Path;

/// Checks that a plan is rejected with errors of bounded length.
fn refused(plan: &[u8]) {
    let problems = snugfs_plan::parse(plan, Path::new("/base")).map(|_| ());
    assert!(problems.is_err_and(|problems| (1..=1001).contains(&problems.len())));
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
    refused(&[&b"{\"version\": 1, \"trees\": ["[..], &b"0,".repeat(1 << 23), b"0]}"].concat());
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
