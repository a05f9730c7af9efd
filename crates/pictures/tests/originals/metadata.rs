//! EXIF, XMP and resolution.

use image::ImageFormat;
use limekiln_pictures::Format;
use limekiln_pictures::original::{Length, Resolution};

use crate::support::{Entry, encoded, exif, picture, read, with_chunk, with_segment};

const MAKER_NOTE: &[u8] = b"maker note with offsets";
const THUMBNAIL: &[u8] = b"\xFF\xD8the old picture\xFF\xD9";

/// A camera's block: turned by 90 degrees, with a maker note and a thumbnail behind it.
fn camera() -> Vec<u8> {
    let word = |value: u32| value.to_le_bytes();
    // Directories of 3, 3 and 2 entries, then 300 and 72 pixels an inch.
    let (inner, second) = (8 + 42, 8 + 84);
    let rest = second + 30;
    let note = rest + 16;
    let first: &[Entry] = &[
        (0x0112, 3, 1, word(6)),
        (0x011A, 5, 1, word(rest)),
        (0x8769, 4, 1, word(inner)),
    ];
    let details: &[Entry] = &[
        (0x927C, 7, MAKER_NOTE.len() as u32, word(note)),
        (0xA002, 4, 1, word(24)),
        (0xA003, 3, 1, word(16)),
    ];
    let thumbnail: &[Entry] = &[
        (0x0201, 4, 1, word(note + MAKER_NOTE.len() as u32)),
        (0x0202, 4, 1, word(THUMBNAIL.len() as u32)),
    ];
    let sizes = [300, 1, 72, 1].map(u32::to_le_bytes).concat();
    exif(
        &[(first, second), (details, 0), (thumbnail, 0)],
        &[&sizes, MAKER_NOTE, THUMBNAIL].concat(),
    )
}

fn jpeg_with(block: &[u8]) -> Vec<u8> {
    let jpeg = encoded(picture(24, 16), ImageFormat::Jpeg);
    with_segment(&jpeg, 0xE1, &[b"Exif\0\0", block].concat())
}

#[test]
fn exif_is_patched_where_it_stands() {
    let before = camera();
    let (original, warnings) = read(&jpeg_with(&before));
    assert_eq!((original.size(), warnings), ((16, 24), Vec::new()));
    for format in [Format::Png, Format::WebP, Format::Jpeg] {
        let after = read(&original.encode(format).unwrap())
            .0
            .metadata
            .exif
            .unwrap();
        // The thumbnail was the last of it.
        assert_eq!(after.len(), before.len() - THUMBNAIL.len(), "{format:?}");
        let changed: Vec<usize> = (0..after.len())
            .filter(|at| after[*at] != before[*at])
            .collect();
        // The orientation, the link to the thumbnail, width and height.
        assert_eq!(
            changed,
            [18, 46, 50 + 2 + 12 + 8, 50 + 2 + 24 + 8],
            "{format:?}"
        );
        assert_eq!((after[18], after[72], after[84]), (1, 16, 24));
        assert!(
            after
                .windows(MAKER_NOTE.len())
                .any(|window| window == MAKER_NOTE)
        );
    }
}

#[test]
fn a_thumbnail_in_the_middle_is_blanked() {
    let before = [camera(), b"something behind it".to_vec()].concat();
    let (original, _) = read(&jpeg_with(&before));
    let after = original.metadata.exif.unwrap();
    assert_eq!(after.len(), before.len());
    assert!(!after.windows(7).any(|window| window == b"the old"));
    assert!(after.ends_with(b"something behind it"));
}

#[test]
fn damaged_exif_harms_nobody() {
    let whole = camera();
    for cut in 0..whole.len() {
        let (original, _) = read(&jpeg_with(&whole[..cut]));
        let _ = original.encode(Format::Png).unwrap();
    }
    for at in 0..whole.len() {
        for byte in [0, 1, 0x7F, 0xFF] {
            let mut broken = whole.clone();
            broken[at] = byte;
            let (original, _) = read(&jpeg_with(&broken));
            let _ = original.encode(Format::Png).unwrap();
        }
    }
}

#[test]
fn xmp_says_that_the_picture_is_upright_and_alone() {
    let packet = "<x:xmpmeta><rdf:Description tiff:Orientation=\"6\" dc:title='kept' hdrgm:Version=\"1.0\">\
                  <Container:Directory><rdf:Seq/></Container:Directory></rdf:Description></x:xmpmeta>";
    let jpeg = encoded(picture(24, 16), ImageFormat::Jpeg);
    let name = b"http://ns.adobe.com/xap/1.0/\0";
    let (original, _) = read(&with_segment(
        &jpeg,
        0xE1,
        &[name, packet.as_bytes()].concat(),
    ));
    assert_eq!(original.size(), (16, 24), "XMP alone may say it, too");
    for format in [Format::Png, Format::WebP, Format::Jpeg] {
        let again = read(&original.encode(format).unwrap()).0;
        assert_eq!(again.size(), (16, 24));
        let text = String::from_utf8(again.metadata.xmp.unwrap()).unwrap();
        assert!(
            text.contains("tiff:Orientation=\"1\"") && text.contains("'kept'"),
            "{text}"
        );
        assert!(
            !text.contains("hdrgm") && !text.contains("Directory"),
            "{text}"
        );
    }
    let element = "<tiff:Orientation>8</tiff:Orientation>";
    let (original, _) = read(&with_segment(
        &jpeg,
        0xE1,
        &[name, element.as_bytes()].concat(),
    ));
    assert_eq!(
        original.metadata.xmp.unwrap(),
        b"<tiff:Orientation>1</tiff:Orientation>"
    );
}

#[test]
fn resolution_goes_through_and_turns_with_the_picture() {
    let png = encoded(picture(24, 16), ImageFormat::Png);
    let dots = [
        &11_811_u32.to_be_bytes()[..],
        &5_906_u32.to_be_bytes(),
        &[1],
    ]
    .concat();
    let turned = with_chunk(
        &with_chunk(&png, b"pHYs", &dots),
        b"eXIf",
        &crate::support::orientation(3, 6),
    );
    let (original, _) = read(&turned);
    let want = Resolution {
        x: 5906.0,
        y: 11_811.0,
        per: Length::Metre,
    };
    assert_eq!(original.metadata.resolution, Some(want));
    let again = read(&original.encode(Format::Png).unwrap()).0;
    assert_eq!(again.metadata.resolution, Some(want));
    let jpeg = read(&original.encode(Format::Jpeg).unwrap()).0;
    let (x, y) = jpeg.metadata.resolution.unwrap().inches().unwrap();
    assert_eq!((x.round(), y.round()), (150.0, 300.0));
}

#[test]
fn metadata_can_be_left_out_and_colors_stay() {
    let icc = crate::support::reference("files/p3.png");
    let dressed = with_chunk(&icc, b"eXIf", &camera());
    let bare = read(&dressed).0.without_metadata();
    let again = read(&bare.encode(Format::Png).unwrap()).0;
    assert_eq!(
        (
            &again.metadata.exif,
            &again.metadata.xmp,
            again.metadata.resolution
        ),
        (&None, &None, None)
    );
    assert_eq!(again.space, read(&icc).0.space);
    assert_eq!(again.size(), (48, 64), "turned all the same");
}
