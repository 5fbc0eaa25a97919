//! What comes of measurements: a file, a table, and whether what must hold does.

use std::path::Path;

use serde_json::{Value, json};

/// A key, what is hoped for in words, and the number beyond which it is a failure.
pub type Goal = (&'static str, &'static str, Option<f64>);

/// Whether every result stays within its limit; says which does not.
pub fn holds(results: &Value, goals: &[Goal]) -> bool {
    let mut good = true;
    for (key, _, limit) in goals {
        let value = results.pointer(&format!("/{}", key.replace('.', "/")));
        if let (Some(limit), Some(value)) = (limit, value.and_then(Value::as_f64))
            && value > *limit
        {
            eprintln!("{key} is {value}, more than {limit}");
            good = false;
        }
    }
    good
}

pub fn write(file: &Path, results: &Value) {
    let text = serde_json::to_string_pretty(results).expect("JSON");
    std::fs::write(file, text + "\n").expect("the result can be written");
}

pub fn print(results: &Value, goals: &[Goal]) {
    println!();
    let line = |key: &str, value: &Value| {
        let goal = goals
            .iter()
            .find(|(of, ..)| *of == key)
            .map_or("", |(_, goal, _)| goal);
        println!("{key:<28}{:>12}  {goal}", value.to_string());
    };
    for (key, value) in results.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(inner) => inner
                .iter()
                .for_each(|(name, value)| line(&format!("{key}.{name}"), value)),
            None => line(key, value),
        }
    }
}

/// With as many digits as mean anything.
pub fn rounded(number: f64) -> Value {
    json!((number * 1_000.0).round() / 1_000.0)
}
