/// Colours by role. Contrast of text is at least 4.5 to 1 on its ground, light and dark; no meaning
/// rests on colour alone.
pub(super) const STYLE: &str = "\
.cg{--ground:#fbfbf9;--band:#f1f2ee;--box:#ffffff;--ink:#1c2330;--soft:#4f5968;--line:#7b8494;\
--grant:#e4ebf5;--did:#1d6b43;--bad:#a12a2a;--ask:#80510a}\
@media (prefers-color-scheme:dark){.cg{--ground:#14171c;--band:#1c2027;--box:#252a33;--ink:#eceff4;\
--soft:#b4bcc9;--line:#8791a1;--grant:#2c3a4f;--did:#6fd39d;--bad:#ff9b93;--ask:#f0c063}}\
.cg text{font:13px system-ui,sans-serif;fill:var(--ink)}\
.cg .h{font-size:19px;font-weight:600}.cg .b{font-weight:600}.cg .s{fill:var(--soft)}\
.cg .m{font:12px ui-monospace,'DejaVu Sans Mono',monospace}\
.cg .good{fill:var(--did)}.cg .bad{fill:var(--bad);font-weight:600}.cg .ask{fill:var(--ask)}\
.cg .ground{fill:var(--ground)}.cg .band{fill:var(--band)}\
.cg .box{fill:var(--box);stroke:var(--line);stroke-width:1}.cg .grant{fill:var(--grant)}\
.cg .could{stroke-dasharray:5 4}.cg .did{stroke:var(--did);stroke-width:2}\
.cg .no{stroke:var(--bad);stroke-width:2}.cg .asked{stroke:var(--ask);stroke-width:2}\
.cg path{fill:none;stroke:var(--line);stroke-width:1.3}.cg path.no{stroke-dasharray:2 3}\
.cg path.did{stroke-width:2.2}.cg .tip{fill:var(--line);stroke:none}\
.cg .tip.did{fill:var(--did)}.cg .tip.no{fill:var(--bad)}.cg .tip.asked{fill:var(--ask)}";
