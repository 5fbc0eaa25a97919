//! Judges an object by a CRD's schema without an API server: shape in the API server's own words, rules by kube-cel.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Context, Program, Value as Cel};
use serde_json::{Value, json};

/// Judgements of many objects, and which rules and patterns said yes and no at least once.
#[derive(Default)]
pub struct Judge {
    programs: BTreeMap<String, Arc<Program>>,
    matched: BTreeMap<(String, String), bool>,
    pub said_yes: BTreeSet<String>,
    pub said_no: BTreeSet<String>,
}

impl Judge {
    /// Everything that is wrong with the spec `new` as an update of `old`.
    pub fn judge(&mut self, schema: &Value, new: &Value, old: Option<&Value>) -> Vec<String> {
        let mut wrong = Vec::new();
        self.visit(schema, "spec", new, old, &mut wrong);
        wrong
    }

    /// Everything that is wrong with an object of this name. Rules over the whole of it see its name and spec.
    pub fn object(&mut self, schema: &Value, name: &str, new: &Value, old: Option<&Value>) -> Vec<String> {
        let mut wrong = self.judge(&schema["properties"]["spec"], new, old);
        let whole = json!({"metadata": {"name": name}, "spec": new});
        if wrong.is_empty() {
            self.rules(schema, "object", &whole, None, &mut wrong);
        }
        wrong
    }

    /// Whether an expression over `variables` holds.
    pub fn holds(&mut self, expression: &str, variables: &[(&str, Cel)]) -> bool {
        let program = self.programs.entry(expression.to_owned()).or_insert_with(|| {
            Arc::new(Program::compile(expression).unwrap_or_else(|e| panic!("{expression}: {e}")))
        });
        let mut context = Context::default().with_all();
        for (name, value) in variables {
            context.add_variable_from_value(*name, value.clone());
        }
        match program.execute(&context) {
            Ok(Cel::Bool(holds)) => holds,
            other => panic!("{expression}: {other:?}"),
        }
    }

    fn note(&mut self, rule: &str, holds: bool) -> bool {
        let seen = if holds {
            &mut self.said_yes
        } else {
            &mut self.said_no
        };
        seen.insert(rule.to_owned());
        holds
    }

    fn visit(&mut self, schema: &Value, at: &str, new: &Value, old: Option<&Value>, wrong: &mut Vec<String>) {
        let shaped = wrong.len();
        match new {
            Value::String(text) => self.string(schema, at, text, wrong),
            Value::Number(number) => bounds(schema, at, number.as_i64().unwrap(), wrong),
            Value::Array(items) => {
                if over(schema, "maxItems", items.len()) {
                    wrong.push(format!(
                        "{at}: Too many: {}: must have at most {} items",
                        items.len(),
                        schema["maxItems"]
                    ));
                }
                if under(schema, "minItems", items.len()) {
                    wrong.push(format!(
                        "{at}: {at} in body should have at least {} items",
                        schema["minItems"]
                    ));
                }
                for (n, item) in items.iter().enumerate() {
                    self.visit(&schema["items"], &format!("{at}[{n}]"), item, None, wrong);
                }
            }
            Value::Object(fields) => {
                if under(schema, "minProperties", fields.len()) {
                    wrong.push(format!(
                        "{at}: {at} in body should have at least {} properties",
                        schema["minProperties"]
                    ));
                }
                for name in schema["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                {
                    if !fields.contains_key(name) {
                        wrong.push(format!("{at}.{name}: Required value"));
                    }
                }
                for (name, value) in fields {
                    let at = format!("{at}.{name}");
                    let inner = [&schema["properties"][name], &schema["additionalProperties"]]
                        .into_iter()
                        .find(|schema| !schema.is_null());
                    match inner {
                        Some(inner) => {
                            self.visit(inner, &at, value, old.and_then(|old| old.get(name)), wrong);
                        }
                        None => wrong.push(format!("{at}: field not declared in schema")),
                    }
                }
            }
            _ => {}
        }
        // Like the API server: rules are not looked at where the shape below them is wrong.
        if wrong.len() == shaped {
            self.rules(schema, at, new, old, wrong);
        }
    }

    fn string(&mut self, schema: &Value, at: &str, text: &str, wrong: &mut Vec<String>) {
        let length = text.chars().count();
        if over(schema, "maxLength", length) {
            wrong.push(format!(
                "{at}: Too long: may not be more than {} bytes",
                schema["maxLength"]
            ));
        }
        if under(schema, "minLength", length) {
            wrong.push(format!(
                "{at}: {at} in body should be at least {} chars long",
                schema["minLength"]
            ));
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.iter().any(|word| word == text)
        {
            let words: Vec<String> = words.iter().map(Value::to_string).collect();
            wrong.push(format!(
                "{at}: Unsupported value: {text:?}: supported values: {}",
                words.join(", ")
            ));
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            let question = (pattern.to_owned(), text.to_owned());
            let known = self.matched.get(&question).copied();
            let holds = known.unwrap_or_else(|| {
                let variables = [("self", cel(&text.into())), ("pattern", cel(&pattern.into()))];
                self.holds("self.matches(pattern)", &variables)
            });
            self.matched.insert(question, holds);
            if !self.note(pattern, holds) {
                wrong.push(format!("{at}: {at} in body should match '{pattern}'"));
            }
        }
    }

    fn rules(&mut self, schema: &Value, at: &str, new: &Value, old: Option<&Value>, wrong: &mut Vec<String>) {
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let (rule, message) = (rule["rule"].as_str().unwrap(), rule["message"].as_str().unwrap());
            let mut variables = vec![("self", cel(new))];
            if rule.contains("oldSelf") {
                match old {
                    Some(old) => variables.push(("oldSelf", cel(old))),
                    None => continue,
                }
            }
            let holds = self.holds(rule, &variables);
            if !self.note(rule, holds) {
                wrong.push(format!("{at}: {message}"));
            }
        }
    }
}

fn over(schema: &Value, key: &str, size: usize) -> bool {
    schema[key].as_u64().is_some_and(|most| size as u64 > most)
}

fn under(schema: &Value, key: &str, size: usize) -> bool {
    schema[key].as_u64().is_some_and(|least| (size as u64) < least)
}

fn bounds(schema: &Value, at: &str, number: i64, wrong: &mut Vec<String>) {
    let bound = |key: &str| {
        schema[key]
            .as_f64()
            .map(|bound| bound.to_string().parse::<i64>().unwrap())
    };
    if let Some(least) = bound("minimum").filter(|least| number < *least) {
        wrong.push(format!(
            "{at}: {at} in body should be greater than or equal to {least}"
        ));
    }
    if let Some(most) = bound("maximum").filter(|most| number > *most) {
        wrong.push(format!(
            "{at}: {at} in body should be less than or equal to {most}"
        ));
    }
}

/// JSON as CEL sees it: numbers signed, field names that are reserved words between underscores.
pub fn cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => Cel::Int(number.as_i64().unwrap()),
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(cel).collect())),
        Value::Object(fields) => {
            let key = |name: &String| match name.as_str() {
                "namespace" | "function" => format!("__{name}__"),
                _ => name.clone(),
            };
            let map: HashMap<Key, Cel> = fields
                .iter()
                .map(|(name, value)| (Key::from(key(name)), cel(value)))
                .collect();
            Cel::Map(Map { map: Arc::new(map) })
        }
    }
}
