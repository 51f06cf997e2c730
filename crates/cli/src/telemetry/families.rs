use std::collections::BTreeMap;

/// The text formats of several parts, put together: each family once, its samples in one group, as
/// the format demands.
#[derive(Debug, Default)]
pub(super) struct Families(BTreeMap<String, Group>);

#[derive(Debug, Default)]
struct Group {
    said: Vec<String>,
    samples: Vec<String>,
}

impl Families {
    /// Takes the text of one part in.
    pub(super) fn add(&mut self, text: &str) {
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let said = line
                .strip_prefix("# HELP ")
                .or(line.strip_prefix("# TYPE "));
            if let Some(said) = said {
                current = said.split(' ').next().unwrap_or_default().to_owned();
            }
            let group = self.0.entry(current.clone()).or_default();
            match said {
                Some(_) if group.said.iter().any(|known| known == line) => {}
                Some(_) => group.said.push(line.to_owned()),
                None => group.samples.push(line.to_owned()),
            }
        }
    }

    /// The whole text.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for group in self.0.values() {
            for line in group.said.iter().chain(&group.samples) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Families;

    #[test]
    fn each_family_is_one_group() {
        let part = |name: &str| {
            format!(
                "# HELP a_total Said.\n# TYPE a_total counter\na_total{{part=\"{name}\"}} 1\n\n\
                 # TYPE b histogram\nb_bucket{{part=\"{name}\",le=\"+Inf\"}} 2\nb_sum{{part=\"{name}\"}} 3\n\n"
            )
        };
        let mut families = Families::default();
        families.add(&part("x"));
        families.add(&part("y"));
        families.add("");
        let text = families.render();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "# HELP a_total Said.",
                "# TYPE a_total counter",
                "a_total{part=\"x\"} 1",
                "a_total{part=\"y\"} 1",
                "# TYPE b histogram",
                "b_bucket{part=\"x\",le=\"+Inf\"} 2",
                "b_sum{part=\"x\"} 3",
                "b_bucket{part=\"y\",le=\"+Inf\"} 2",
                "b_sum{part=\"y\"} 3",
            ]
        );
    }
}
