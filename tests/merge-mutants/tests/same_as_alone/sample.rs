//! Code with a place for each kind of mutant. Every function's result is printed for some numbers.

fn sum(a: u64, b: u64) -> u64 {
    a + b * 2 - 1
}

fn both(a: u64, b: u64, text: &str) -> bool {
    (a > 5 && a < 7 || b == 3) && text != "x"
}

fn assigned(a: u64) -> (u64, [i64; 2]) {
    let mut sum = a;
    let mut list = [10, 20];
    sum += sum * 3;
    list[a as usize % 2] -= 1;
    (sum, list)
}

fn opposite(a: u64, b: u64) -> (bool, i64) {
    (!(a == b), -(a as i64))
}

fn name(n: u64) -> &'static str {
    match n {
        3 => "three",
        n if n > 6 => "many",
        _ => "other",
    }
}

fn fill(out: &mut Vec<u64>) {
    out.push(1);
    out.push(2);
}

fn leaked(a: u64) -> &'static u64 {
    Box::leak(Box::new(a))
}

#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    first: u64,
    second: u64,
    third: u64,
}

fn fields(a: u64) -> (Fields, Fields) {
    let base = Fields { first: 100, second: 200, third: 300 };
    let second = a + 7;
    (Fields { first: a + 1, ..base }, Fields { second, ..base })
}

const fn shifted(value: u64) -> u64 {
    value << 1
}

const AREA: u64 = 8 * 8;

fn first_is(list: &[u64]) -> bool {
    if let Some(c) = list.first() && *c == 4 { true } else { false }
}

fn numbers(a: u64) -> impl Iterator<Item = u64> {
    0..a
}

fn as_number(value: bool) -> u64 {
    match value {
        true => 1,
        false => 0,
    }
}

fn defaults(a: u64) -> Fields {
    Fields { second: a, ..Fields::default() }
}

fn main() {
    for (a, b) in [(6, 3), (1, 3), (6, 6), (8, 1), (3, 9), (0, 0), (5, 5), (7, 2)] {
        println!("{:?}", std::panic::catch_unwind(|| sum(a, b)).ok());
        println!("{} {} {:?}", both(a, b, "y"), both(a, b, "x"), opposite(a, b));
        println!("{:?}", std::panic::catch_unwind(|| assigned(a)).ok());
        println!("{} {} {:?}", name(a), leaked(a), fields(a));
        println!("{} {} {:?}", shifted(a), numbers(a).sum::<u64>(), defaults(a));
    }
    let mut out = Vec::new();
    fill(&mut out);
    println!("{out:?} {AREA} {} {}", first_is(&out), as_number(true));
}
