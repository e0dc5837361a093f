//! Every dependency's licence is one that `deny.toml` allows, checked without installing anything.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Checks all packages that `cargo metadata` knows.
#[expect(clippy::print_stdout, reason = "the count is the chore's result")]
pub(crate) fn check() -> Result<()> {
    let text = std::fs::read_to_string("deny.toml").context("deny.toml")?;
    let allowed = allowed(&text)?;
    let output = Command::new("cargo").args(["metadata", "--format-version", "1", "--locked"]).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages in cargo metadata")?;
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| {
            let licence = package["license"].as_str().unwrap_or_default();
            !permits(licence, &allowed) && !is_exception(&text, package["name"].as_str().unwrap_or_default(), licence)
        })
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    if !refused.is_empty() {
        bail!("licences that deny.toml does not allow:\n{}", refused.join("\n"));
    }
    println!("{} packages, all under licences that deny.toml allows", packages.len());
    Ok(())
}

/// Whether `deny.toml` names this package and this licence as an exception.
fn is_exception(text: &str, name: &str, licence: &str) -> bool {
    text.contains(&format!("{{ crate = \"{name}\", allow = [\"{licence}\"] }}"))
}

/// The licences that `deny.toml` lists.
fn allowed(text: &str) -> Result<Vec<String>> {
    let (_, list) = text.split_once("allow = [").context("deny.toml: no `allow = [`")?;
    let (list, _) = list.split_once(']').context("deny.toml: `allow` does not end")?;
    Ok(list.split('"').skip(1).step_by(2).map(str::to_string).collect())
}

/// Whether an SPDX expression of `OR`, `AND` and parentheses can be fulfilled with allowed licences.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&tokens, &mut at, allowed) && at == tokens.len()
}

fn either(tokens: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut holds = both(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        holds |= both(tokens, at, allowed);
    }
    holds
}

fn both(tokens: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut holds = one(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        holds &= one(tokens, at, allowed);
    }
    holds
}

fn one(tokens: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let Some(&token) = tokens.get(*at) else { return false };
    *at += 1;
    if token == "(" {
        let holds = either(tokens, at, allowed);
        *at += 1;
        return holds;
    }
    let mut name = token.to_string();
    if tokens.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", tokens.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_understood() {
        let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception"].map(String::from);
        for licence in
            ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(MIT OR X) AND MIT", "Apache-2.0 WITH LLVM-exception"]
        {
            assert!(permits(licence, &allowed), "{licence}");
        }
        for licence in ["GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "", "(MIT OR X) AND X"] {
            assert!(!permits(licence, &allowed), "{licence}");
        }
    }
}
