//! Checks the headers of swap areas.

use disk_layout::{Disk, SwapArea};
use image_reader::{Swap, Volume};
use image_tree::{Uuid, escaped};
use snugfs_compare::{Kind, PartCode};

use super::Subject;
use super::check::PartProblem;
use crate::parts::PartContent;
use crate::prepare::Prepared;

/// The reasons why Linux would refuse the swap area of a volume; `None` if it has none.
pub(super) fn problems(volume: &Volume) -> Option<Vec<PartProblem>> {
    let found = volume.swap()?.problems(volume.window.length());
    Some(found.into_iter().map(|text| PartProblem::new(PartCode::SwapHeader, text)).collect())
}

impl Subject<'_> {
    /// Compares the headers of swap areas. Their other pages belong to the running system, and the bytes of a new image are
    /// compared with all others.
    pub(super) fn swaps(&mut self, expected: &Prepared<'_>) {
        let places = expected.disk.as_ref().map(Disk::partitions).unwrap_or_default();
        for (number, (part, place)) in (1..).zip(expected.parts.iter().zip(places)) {
            if let PartContent::Swap(area) = &part.content {
                self.differences.within(format!("partition {number}: "));
                self.swap(area, Swap::read(&self.window.part(place.start, place.len)));
            }
        }
    }

    fn swap(&mut self, area: &SwapArea, found: Option<Swap>) {
        let mut differs = |text: String| {
            self.differences.add(Kind::SwapArea, || ("swap area".to_owned(), text));
        };
        let Some(found) = found else { return differs("there is none".to_owned()) };
        if found.label != area.label {
            let (is, should) = (escaped(&found.label), escaped(&area.label));
            differs(format!("label is \"{is}\", should be \"{should}\""));
        }
        let should = Uuid(area.uuid);
        if found.uuid != should {
            differs(format!("UUID is {}, should be {should}", found.uuid));
        }
        if (found.version, found.last_page, found.bad_pages) != (1, area.last_page(), 0) {
            let Swap { version, last_page, bad_pages, .. } = found;
            differs(format!(
                "version, last page and number of bad pages are {version}, {last_page} and {bad_pages}, should be 1, {} and 0",
                area.last_page()
            ));
        }
    }
}
