//! Every public item of our crates has a doc comment.

use std::path::Path;

use anyhow::Context as _;
use syn::visit::Visit;
use syn::{Attribute, ImplItem, Item, Visibility};

/// Findings about public items without documentation.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in super::sources(root)? {
        let in_source = path.components().any(|part| part.as_os_str() == "src");
        if !in_source {
            continue;
        }
        let shown = super::shown(root, &path).to_string();
        let file = syn::parse_file(&super::read(&path)?).with_context(|| shown.clone())?;
        let mut visitor = Undocumented { names: Vec::new() };
        visitor.visit_file(&file);
        findings.extend(
            visitor
                .names
                .iter()
                .map(|name| format!("{shown}: {name} has no doc comment")),
        );
    }
    Ok(findings)
}

struct Undocumented {
    names: Vec<String>,
}

impl Undocumented {
    fn note(&mut self, visibility: &Visibility, attributes: &[Attribute], name: &syn::Ident) {
        let public = matches!(visibility, Visibility::Public(_));
        if public
            && !attributes
                .iter()
                .any(|attribute| attribute.path().is_ident("doc"))
        {
            self.names.push(name.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Undocumented {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Const(it) => self.note(&it.vis, &it.attrs, &it.ident),
            Item::Enum(it) => self.note(&it.vis, &it.attrs, &it.ident),
            Item::Fn(it) => self.note(&it.vis, &it.attrs, &it.sig.ident),
            Item::Static(it) => self.note(&it.vis, &it.attrs, &it.ident),
            Item::Struct(it) => self.note(&it.vis, &it.attrs, &it.ident),
            Item::Trait(it) => self.note(&it.vis, &it.attrs, &it.ident),
            Item::Type(it) => self.note(&it.vis, &it.attrs, &it.ident),
            _ => {}
        }
        syn::visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if let ImplItem::Fn(function) = item {
            self.note(&function.vis, &function.attrs, &function.sig.ident);
        }
        syn::visit::visit_impl_item(self, item);
    }
}
