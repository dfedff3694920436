//! Statements about many rows at once, in so few sizes that a connection keeps all
//! of them prepared.

use super::statement::{Statement, Value, query};
use sqlx::AssertSqlSafe;

/// Rows of one statement. The largest has fewer values than any engine's limit.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// Cuts `items` into pieces of those sizes.
fn pieces<T>(mut items: &[T]) -> Vec<&[T]> {
    let mut out = Vec::new();
    for size in SIZES {
        while let Some((piece, rest)) = items.split_at_checked(size) {
            out.push(piece);
            items = rest;
        }
    }
    out
}

/// `head VALUES (...), (...) tail` for all `rows`, in as many statements as it takes.
pub(super) fn insert(head: &str, rows: &[Vec<Value>], tail: &str) -> Vec<Statement> {
    let statement = |rows: &[Vec<Value>]| {
        let mut number = 0..;
        let row = |row: &Vec<Value>| format!("({})", marks(&mut number, row.len()));
        let values: Vec<String> = rows.iter().map(row).collect();
        let text = query(AssertSqlSafe(format!("{head} VALUES {} {tail}", values.join(", "))));
        rows.iter().flatten().cloned().fold(text, Statement::bind)
    };
    pieces(rows).into_iter().map(statement).collect()
}

/// `head IN (...) tail` for all `values`, in as many statements as it takes. To be in a
/// list twice changes nothing, so the last value fills a list up to its size.
pub(super) fn within(head: &str, values: &[Value], tail: &str) -> Vec<Statement> {
    let most = SIZES.first().copied().unwrap_or(1);
    let statement = |values: &[Value]| {
        let size = SIZES.into_iter().rfind(|size| values.len() <= *size).unwrap_or(most);
        let marks = marks(&mut (0..), size);
        let text = query(AssertSqlSafe(format!("{head} IN ({marks}) {tail}")));
        let filler = values.last().into_iter().cycle();
        values.iter().chain(filler).take(size).cloned().fold(text, Statement::bind)
    };
    values.chunks(most).map(statement).collect()
}

/// So many marks of values: `$1, $2`.
fn marks(number: &mut std::ops::RangeFrom<usize>, count: usize) -> String {
    let marks: Vec<String> = number.take(count).map(|n| format!("${}", n + 1)).collect();
    marks.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_few_sizes() {
        let sizes = |n: usize| -> Vec<usize> {
            pieces(&vec![0; n]).into_iter().map(<[i32]>::len).collect()
        };
        assert_eq!(sizes(0), [0; 0]);
        assert_eq!(sizes(343), [256, 64, 16, 4, 1, 1, 1]);
        assert_eq!(sizes(600).iter().sum::<usize>(), 600);
    }

    #[test]
    fn values_are_numbered_through() {
        let row = |n: i64| vec![Value::from(n), Value::from("x")];
        let made = insert("INSERT INTO t (a, b)", &[row(1), row(2), row(3), row(4)], "RETURNING a");
        let text = "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING a";
        assert_eq!(made.iter().map(Statement::text).collect::<Vec<_>>(), [text]);
        let made = within("SELECT a FROM t WHERE a", &[1.into(), 2.into()], "ORDER BY a");
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].text(), "SELECT a FROM t WHERE a IN ($1, $2, $3, $4) ORDER BY a");
        assert_eq!(within("SELECT a FROM t WHERE a", &vec![1.into(); 257], "").len(), 2);
        assert!(within("SELECT a FROM t WHERE a", &[], "").is_empty());
    }
}
