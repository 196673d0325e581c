//! Finds the place of each mutant in the syntax tree, and puts a switch there.

use std::collections::HashMap;
use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, UnOp};

use crate::edits::{Edits, Parts};
use crate::{Mutant, Position};

/// The edits for all mutants, and the mutants without one, each with the reason.
pub fn place(text: &str, file: &syn::File, mutants: Vec<Mutant>) -> (Edits, Vec<(u32, &'static str)>) {
    let lines = Lines::new(text);
    let mut waiting: HashMap<(String, Range<usize>), Vec<Mutant>> = HashMap::new();
    for mutant in mutants {
        let range = lines.byte(&mutant.span.start)..lines.byte(&mutant.span.end);
        waiting.entry((mutant.genre.clone(), range)).or_default().push(mutant);
    }
    let mut placer = Placer {
        text,
        waiting,
        edits: Edits::default(),
        alone: Vec::new(),
        in_constant: false,
        has_wildcard: false,
    };
    placer.visit_file(file);
    let Placer { waiting, edits, mut alone, .. } = placer;
    alone.extend(waiting.values().flatten().map(|mutant| (mutant.id, "its place was not found")));
    alone.sort_unstable();
    (edits, alone)
}

/// Where the lines of a text begin.
struct Lines<'a> {
    lines: Vec<(usize, &'a str)>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let mut start = 0;
        let lines = text.split_inclusive('\n').map(|line| {
            start += line.len();
            (start - line.len(), line)
        });
        Self { lines: lines.collect() }
    }

    fn byte(&self, position: &Position) -> usize {
        let (start, line) = self.lines[position.line - 1];
        start + line.char_indices().nth(position.column - 1).map_or(line.len(), |(at, _)| at)
    }
}

struct Placer<'a> {
    text: &'a str,
    waiting: HashMap<(String, Range<usize>), Vec<Mutant>>,
    edits: Edits,
    alone: Vec<(u32, &'static str)>,
    /// Whether the compiler evaluates this part, where no switch can be asked.
    in_constant: bool,
    /// Whether the arms of the match around need no arm that can be deleted.
    has_wildcard: bool,
}

/// The condition under which a mutant replaces the code.
fn on(id: u32) -> String {
    format!("crate::merged_mutants::on({id})")
}

/// All mutants of one place, for text that none of them has alone.
fn all(mutants: &[Mutant]) -> Vec<u32> {
    mutants.iter().map(|mutant| mutant.id).collect()
}

/// `if on(1) { CODE1 } else if on(2) { CODE2 } else { ORIGINAL }`.
fn choice(mutants: &[Mutant], code: impl Fn(&Mutant) -> String, original: String) -> Parts {
    let mut parts = Parts::new();
    for mutant in mutants {
        parts.push((format!("if {} {{ ", on(mutant.id)), all(mutants)));
        parts.push((code(mutant), vec![mutant.id]));
        parts.push((" } else ".to_owned(), all(mutants)));
    }
    parts.push((format!("{{ {original} }}"), all(mutants)));
    parts
}

impl Placer<'_> {
    /// The mutants of one place, which are then no longer waiting. None where they can't have a switch.
    fn take(&mut self, genre: &str, range: Range<usize>) -> Vec<Mutant> {
        let found = self.waiting.remove(&(genre.to_owned(), range)).unwrap_or_default();
        if self.in_constant { self.leave(found, "evaluated by the compiler") } else { found }
    }

    fn leave(&mut self, mutants: Vec<Mutant>, why: &'static str) -> Vec<Mutant> {
        self.alone.extend(mutants.iter().map(|mutant| (mutant.id, why)));
        Vec::new()
    }

    /// Whether a part of the tree still has mutants.
    fn has_any(&self, range: &Range<usize>) -> bool {
        self.waiting.keys().any(|(_, at)| range.start <= at.start && at.end <= range.end)
    }

    fn constant(&mut self, visit: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.in_constant, true);
        visit(self);
        self.in_constant = before;
    }

    fn body(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let before = std::mem::replace(&mut self.in_constant, signature.constness.is_some());
        if let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) {
            let range = first.span().byte_range().start..last.span().byte_range().end;
            let mut values = self.take("FnValue", range.clone());
            if self.text[range_of(&signature.output)].contains("impl ") {
                values = self.leave(values, "another type than the function's own");
            }
            for mutant in values {
                let parts = vec![
                    (format!("if {} {{ return ", on(mutant.id)), vec![mutant.id]),
                    (mutant.replacement, vec![mutant.id]),
                    ("; } ".to_owned(), vec![mutant.id]),
                ];
                self.edits.before(range.start, parts);
            }
        }
        self.visit_block(block);
        self.in_constant = before;
    }

    /// `A && B`: `if A != on { B } else { on }`, which is `A || B` with the mutant.
    fn lazy(&mut self, node: &syn::ExprBinary, mutants: &[Mutant], is_and: bool) {
        let ids = all(mutants);
        let switch = mutants.iter().map(|mutant| on(mutant.id)).collect::<Vec<_>>().join(" || ");
        let equal = if is_and { "!=" } else { "==" };
        let other = if is_and { "is_on" } else { "!is_on" };
        self.edits
            .before(start(&node.left), vec![(format!("(match {switch} {{ is_on => if ("), ids.clone())]);
        self.edits.replace(node.op.span().byte_range(), vec![(format!(") {equal} is_on {{ "), ids.clone())]);
        self.edits.after(end(&node.right), vec![(format!(" }} else {{ {other} }} }})"), ids)]);
    }

    fn compare(&mut self, node: &syn::ExprBinary, mutants: &[Mutant]) {
        let original = &self.text[node.op.span().byte_range()];
        self.edits.before(start(&node.left), vec![("(match (&(".to_owned(), all(mutants))]);
        self.edits.replace(node.op.span().byte_range(), vec![("), &(".to_owned(), all(mutants))]);
        let mut parts = vec![(")) { (left, right) => ".to_owned(), all(mutants))];
        parts.extend(choice(
            mutants,
            |mutant| format!("*left {} *right", mutant.replacement),
            format!("*left {original} *right"),
        ));
        parts.push((" })".to_owned(), all(mutants)));
        self.edits.after(end(&node.right), parts);
    }

    fn compute(&mut self, node: &syn::ExprBinary, mutants: &[Mutant]) {
        let original = &self.text[node.op.span().byte_range()];
        self.edits.before(start(&node.left), vec![("(match (".to_owned(), all(mutants))]);
        self.edits.replace(node.op.span().byte_range(), vec![(", ".to_owned(), all(mutants))]);
        let mut parts = vec![(") { (left, right) => ".to_owned(), all(mutants))];
        parts.extend(choice(
            mutants,
            |mutant| format!("left {} right", mutant.replacement),
            format!("left {original} right"),
        ));
        parts.push((" })".to_owned(), all(mutants)));
        self.edits.after(end(&node.right), parts);
    }

    /// `A += B`: B is computed first, as the language does for numbers.
    fn assign(&mut self, node: &syn::ExprBinary, mutants: &[Mutant]) {
        let original = &self.text[node.op.span().byte_range()];
        let place = &self.text[start(&node.left)..end(&node.left)];
        let until = start(&node.right);
        self.edits.replace(start(&node.left)..until, vec![("match (".to_owned(), all(mutants))]);
        let mut parts = vec![(") { right => ".to_owned(), all(mutants))];
        parts.extend(choice(
            mutants,
            |mutant| format!("{place} {} right", mutant.replacement),
            format!("{place} {original} right"),
        ));
        parts.push((" }".to_owned(), all(mutants)));
        self.edits.after(end(&node.right), parts);
    }

    fn guard(&mut self, arm: &syn::Arm) {
        let arm_range = range_of(arm);
        let mut deleted = self.take("MatchArm", arm_range.clone());
        if deleted.is_empty() {
            // The comma behind the arm, or attributes before it, may belong to the mutant.
            let near = self.waiting.keys().find(|(genre, at)| {
                genre == "MatchArm"
                    && (at.start == arm_range.start || at.start == start(&arm.pat))
                    && at.end <= arm_range.end + 1
            });
            if let Some((genre, range)) = near.cloned() {
                deleted = self.take(&genre, range);
            }
        }
        if !self.has_wildcard {
            deleted = self.leave(deleted, "the compiler counts no arm with a condition");
        }
        let is_there = deleted.iter().map(|mutant| format!("!{} && ", on(mutant.id))).collect::<String>();
        let Some((_, guard)) = &arm.guard else {
            if !deleted.is_empty() {
                self.edits.after(end(&arm.pat), vec![(format!(" if {}true", is_there), all(&deleted))]);
            }
            return;
        };
        let forced = self.take("MatchArmGuard", range_of(guard));
        if deleted.is_empty() && forced.is_empty() {
            return;
        }
        let mut condition = is_there;
        for mutant in &forced {
            condition += &if mutant.replacement == "true" {
                format!("({} || ", on(mutant.id))
            } else {
                format!("(!{} && ", on(mutant.id))
            };
        }
        let ids: Vec<u32> = all(&deleted).into_iter().chain(all(&forced)).collect();
        self.edits.before(start(guard), vec![(format!("{condition}("), ids.clone())]);
        self.edits.after(end(guard), vec![(")".repeat(forced.len() + 1), ids)]);
    }
}

fn range_of(node: &impl Spanned) -> Range<usize> {
    node.span().byte_range()
}

fn start(node: &impl Spanned) -> usize {
    range_of(node).start
}

fn end(node: &impl Spanned) -> usize {
    range_of(node).end
}

/// Whether an expression binds names, as `let` in conditions does.
fn binds(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(node) if matches!(node.op, BinOp::And(_)) => binds(&node.left) || binds(&node.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Placer<'_> {
    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.body(&node.sig, &node.block);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.body(&node.sig, &node.block);
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if let Some(block) = &node.default {
            self.body(&node.sig, block);
        }
    }

    fn visit_item_const(&mut self, node: &'ast syn::ItemConst) {
        self.constant(|this| visit::visit_item_const(this, node));
    }

    fn visit_item_static(&mut self, node: &'ast syn::ItemStatic) {
        self.constant(|this| visit::visit_item_static(this, node));
    }

    fn visit_impl_item_const(&mut self, node: &'ast syn::ImplItemConst) {
        self.constant(|this| visit::visit_impl_item_const(this, node));
    }

    fn visit_trait_item_const(&mut self, node: &'ast syn::TraitItemConst) {
        self.constant(|this| visit::visit_trait_item_const(this, node));
    }

    fn visit_expr_const(&mut self, node: &'ast syn::ExprConst) {
        self.constant(|this| visit::visit_expr_const(this, node));
    }

    fn visit_variant(&mut self, node: &'ast syn::Variant) {
        self.constant(|this| visit::visit_variant(this, node));
    }

    fn visit_type_array(&mut self, node: &'ast syn::TypeArray) {
        self.constant(|this| visit::visit_type_array(this, node));
    }

    fn visit_generic_argument(&mut self, node: &'ast syn::GenericArgument) {
        self.constant(|this| visit::visit_generic_argument(this, node));
    }

    fn visit_expr_repeat(&mut self, node: &'ast syn::ExprRepeat) {
        self.visit_expr(&node.expr);
        self.constant(|this| this.visit_expr(&node.len));
    }

    fn visit_expr_closure(&mut self, node: &'ast syn::ExprClosure) {
        let before = std::mem::replace(&mut self.in_constant, false);
        visit::visit_expr_closure(self, node);
        self.in_constant = before;
    }

    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        let mut mutants = self.take("BinaryOperator", node.op.span().byte_range());
        let is_assignment = matches!(
            node.op,
            BinOp::AddAssign(_)
                | BinOp::SubAssign(_)
                | BinOp::MulAssign(_)
                | BinOp::DivAssign(_)
                | BinOp::RemAssign(_)
                | BinOp::BitXorAssign(_)
                | BinOp::BitAndAssign(_)
                | BinOp::BitOrAssign(_)
                | BinOp::ShlAssign(_)
                | BinOp::ShrAssign(_)
        );
        match node.op {
            _ if mutants.is_empty() => (),
            BinOp::And(_) | BinOp::Or(_) => {
                let is_and = matches!(node.op, BinOp::And(_));
                if binds(&node.left) || binds(&node.right) {
                    mutants = self.leave(mutants, "the condition binds names");
                } else {
                    let opposite = if is_and { "||" } else { "&&" };
                    let (lazy, other) =
                        mutants.into_iter().partition(|mutant| mutant.replacement == opposite);
                    self.leave(other, "an operator of another kind");
                    mutants = lazy;
                    self.lazy(node, &mutants, is_and);
                }
            }
            BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_) => {
                self.compare(node, &mutants);
            }
            _ if is_assignment => self.assign(node, &mutants),
            _ => self.compute(node, &mutants),
        }
        // The text of the place that is assigned to is repeated, and stays as it is.
        if !is_assignment || mutants.is_empty() {
            self.visit_expr(&node.left);
        } else if self.has_any(&range_of(&node.left)) {
            let range = range_of(&node.left);
            let inside: Vec<_> = self
                .waiting
                .keys()
                .filter(|(_, at)| range.start <= at.start && at.end <= range.end)
                .cloned()
                .collect();
            for key in inside {
                let mutants = self.waiting.remove(&key).unwrap_or_default();
                self.leave(mutants, "inside of a place that is assigned to");
            }
        }
        self.visit_expr(&node.right);
    }

    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        let operator = node.op.span().byte_range();
        let mutants = self.take("UnaryOperator", operator.clone());
        if let [mutant] = &mutants[..]
            && matches!(node.op, UnOp::Not(_) | UnOp::Neg(_))
        {
            let ids = all(&mutants);
            let original = &self.text[operator.clone()];
            self.edits.before(operator.start, vec![("(match (".to_owned(), ids.clone())]);
            self.edits.replace(operator.clone(), Vec::new());
            let mut parts = vec![(") { value => ".to_owned(), ids.clone())];
            parts.extend(choice(&mutants, |_| "value".to_owned(), format!("{original}value")));
            parts.push((" })".to_owned(), vec![mutant.id]));
            self.edits.after(end(&node.expr), parts);
        } else {
            self.leave(mutants, "an operator of another kind");
        }
        self.visit_expr(&node.expr);
    }

    fn visit_expr_match(&mut self, node: &'ast syn::ExprMatch) {
        self.visit_expr(&node.expr);
        let is_wildcard =
            |arm: &syn::Arm| arm.guard.is_none() && matches!(arm.pat, syn::Pat::Wild(_) | syn::Pat::Ident(_));
        let has_wildcard = node.arms.iter().any(is_wildcard);
        for arm in &node.arms {
            // Another match inside of an arm sets its own.
            self.has_wildcard = has_wildcard;
            self.visit_arm(arm);
        }
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        self.guard(node);
        visit::visit_arm(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'ast syn::ExprStruct) {
        for field in &node.fields {
            let range = range_of(field);
            let near = self.waiting.keys().find(|(genre, at)| {
                genre == "StructField"
                    && at.start == range.start
                    && range.end <= at.end
                    && at.end <= range.end + 1
            });
            let Some((genre, at)) = near.cloned() else { continue };
            let mutants = self.take(&genre, at);
            let (Some(rest), syn::Member::Named(name), [mutant]) = (&node.rest, &field.member, &mutants[..])
            else {
                self.leave(mutants, "not a field with a name");
                continue;
            };
            if !matches!(**rest, Expr::Path(_)) {
                self.leave(mutants, "the other fields come from a computed value");
                continue;
            }
            let base = &self.text[range_of(rest)];
            let label = if field.colon_token.is_none() { format!("{name}: ") } else { String::new() };
            let text = format!("{label}if {} {{ {base}.{name} }} else {{ ", on(mutant.id));
            self.edits.before(start(&field.expr), vec![(text, vec![mutant.id])]);
            self.edits.after(end(&field.expr), vec![(" }".to_owned(), vec![mutant.id])]);
        }
        visit::visit_expr_struct(self, node);
    }
}
