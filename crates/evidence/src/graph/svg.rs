//! A picture of our own making: boxes in columns from people over delegations and their holders to
//! tools, nothing but the text itself needed to show it.

mod paint;
mod place;
mod style;

use paint::Page;
use place::Drawing;

use super::{Sketch, words};

/// The sketch as an SVG document without any reference outside of itself: title and description for
/// those who do not see it, light or dark as the reader's system says, every text cut to its box.
pub fn svg(sketch: &Sketch) -> String {
    let drawing = Drawing::of(sketch);
    let mut page = Page::new(drawing.width, drawing.height);
    page.open(&sketch.title, &words::outline(sketch));
    drawing.paint(&mut page);
    page.close()
}
