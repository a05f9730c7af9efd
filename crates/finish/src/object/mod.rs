//! The object that a rough region points at: its materials, and where each ends.
//!
//! - `histogram`: how common colors are, whatever the light
//! - `segments`: what no edge divides
//! - `ownership`: which colors are the object's
//! - `materials`: its materials
//! - `enclosing`: a frame before what it frames
//! - `decide`, `walker`, `holes`: which cells are a material's: by color, by edges, by what hangs together
//! - `choice`: which materials are meant
//! - `sure`: how sure all this is

mod choice;
mod decide;
mod enclosing;
mod histogram;
mod holes;
mod materials;
mod ownership;
mod segments;
mod sure;
mod walker;

use crate::color::Color;
use crate::crop::Crop;
use crate::error::{Error, Result};
use crate::matte::Matte;
use crate::pixels::Pixels;
use crate::region::Region;

pub use choice::Choice;
pub use materials::Material;
pub use sure::Evidence;

/// An object in a picture, found once for all colors that it is given.
pub struct Object {
    crop: Crop,
    owned: ownership::Ownership,
    groups: Vec<materials::Group>,
    walls: walker::Walls,
}

impl Object {
    /// What a region points at, with the model's attention where there is one. Looks at a small copy: the time does not
    /// grow with the picture, but for reading it once.
    ///
    /// # Errors
    ///
    /// [`Error::RegionEmpty`] or [`Error::NothingFound`].
    pub fn find(pixels: &Pixels<'_>, region: &Region, attention: Option<&Region>) -> Result<Self> {
        Self::find_with(pixels, region, attention, &|| Ok(()))
    }

    /// The same, for callers that may want it to stop: `beat` is called between pieces of work of some milliseconds.
    ///
    /// # Errors
    ///
    /// Those of [`Object::find`]; what `beat` gives.
    pub fn find_with(
        pixels: &Pixels<'_>,
        region: &Region,
        attention: Option<&Region>,
        beat: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Self> {
        let crop = Crop::new(pixels, region, attention, beat)?;
        let owned = ownership::Ownership::of(&crop, beat)?;
        let weigh = |own: f32, i: usize| {
            if owned.own[i] > own {
                owned.likely[i] * owned.prior[i]
            } else {
                0.0
            }
        };
        let cells = owned.bins.len();
        let mut weight: Vec<f32> = (0..cells).map(|i| weigh(0.5, i)).collect();
        // Where the object has the colors of what is around it, the region alone has to say.
        if weight.iter().sum::<f32>()
            < 0.05 * owned.prior.iter().filter(|prior| **prior > 0.5).count() as f32
        {
            weight = (0..cells).map(|i| weigh(0.0, i)).collect();
        }
        let groups = materials::groups(&crop.colors, &weight, &owned.core, &owned.far);
        if groups.is_empty() {
            return Err(Error::NothingFound);
        }
        beat()?;
        let walls = walker::Walls::new(&crop.colors);
        Ok(Self {
            crop,
            owned,
            groups,
            walls,
        })
    }

    /// The materials, the main one first, and which of them a choice changes.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchMaterial`].
    pub fn materials(&self, choice: &Choice) -> Result<Vec<Material>> {
        let chosen = choice.of(self.groups.len())?;
        let total: f32 = self.groups.iter().map(|group| group.weight).sum();
        let light = self.crop.colors.data.iter().zip(&self.owned.likely);
        Ok(self
            .groups
            .iter()
            .enumerate()
            .map(|(i, group)| {
                let own = light
                    .clone()
                    .filter(|(color, likely)| **likely > 0.5 && group.has(**color));
                let [l, a, b] = holes::median(own.map(|(color, _)| *color));
                Material {
                    number: i + 1,
                    share: group.weight / total.max(1e-9),
                    color: Color::from_oklab(palette::Oklab::new(l, a, b)),
                    changed: chosen.contains(&i),
                }
            })
            .collect())
    }

    /// The full-size matte of each chosen material, and what speaks for the main one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchMaterial`]; [`Error::NothingFound`] where nothing is left of a material; what `beat` gives, which is
    /// called between pieces of work of some milliseconds.
    pub fn mattes(
        &self,
        pixels: &Pixels<'_>,
        choice: &Choice,
        beat: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<(Vec<Matte>, Evidence)> {
        let mut mattes = Vec::new();
        let mut evidence = None;
        for chosen in choice.of(self.groups.len())? {
            beat()?;
            let group = &self.groups[chosen];
            let decision = decide::decide(&self.crop, &self.owned, group, &self.walls, beat)?;
            if !decision.inside.data.contains(&true) {
                continue;
            }
            evidence.get_or_insert_with(|| Evidence::of(&self.crop, &self.owned, &decision));
            beat()?;
            mattes.push(Matte::of(
                pixels,
                self.crop.place,
                &self.crop.coded,
                &decision.soft,
                &decision.inside,
                beat,
            )?);
        }
        Ok((mattes, evidence.ok_or(Error::NothingFound)?))
    }
}
