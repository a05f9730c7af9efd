//! Files as torch writes them, put together by hand: views, parameters, other storages, other protocols.

use std::io::Write;

use candle_core::Device;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// A torch file of one storage, `0`, of sixteen numbers, and a pickle.
fn file(pickle: &[u8], storage: &[u8], compression: CompressionMethod) -> Arc<Blob> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(compression);
    for (name, bytes) in [
        ("archive/data.pkl", pickle),
        ("archive/data/0", storage),
        ("archive/version", b"3\n"),
    ] {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner().leak();
    Arc::new(Blob::embedded("test.bin".into(), bytes))
}

fn sixteen() -> Vec<u8> {
    (0..16).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

fn numbers(numbers: &[u8]) -> Vec<u8> {
    let items: Vec<u8> = numbers.iter().flat_map(|&n| [b'K', n]).collect();
    [b"(", &items[..], b"t"].concat()
}

/// `_rebuild_tensor_v2` on a view of the storage.
fn view(kind: &str, offset: u8, size: &[u8], stride: &[u8]) -> Vec<u8> {
    let storage = [
        b"((",
        &text("storage")[..],
        format!("ctorch\n{kind}\n").as_bytes(),
        &text("0"),
        &text("cpu"),
        b"K\x10tQ",
    ]
    .concat();
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        &storage[..],
        b"K",
        &[offset],
        &numbers(size),
        &numbers(stride),
        b"\x89}tR",
    ]
    .concat()
}

/// A dictionary in protocol 2.
fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = entries
        .iter()
        .flat_map(|(name, value)| [text(name), value.clone()].concat())
        .collect();
    [b"\x80\x02}(", &items[..], b"u."].concat()
}

fn values(table: &Tensors, name: &str) -> Vec<f32> {
    let tensor = table[name].read(DType::F32, &Device::Cpu, false).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn views_of_one_storage() {
    let parameter = [
        b"ctorch._utils\n_rebuild_parameter\n(",
        &view("FloatStorage", 15, &[1], &[1])[..],
        b"\x88}tR",
    ]
    .concat();
    let pickle = dictionary(&[
        ("tail", view("FloatStorage", 12, &[2, 2], &[2, 1])),
        ("transposed", view("FloatStorage", 1, &[3, 2], &[1, 4])),
        ("parameter", parameter),
        ("epoch", b"K\x07".to_vec()),
        ("positions", view("LongStorage", 0, &[2], &[1])),
    ]);
    let table = table(&file(&pickle, &sixteen(), CompressionMethod::Stored)).unwrap();
    assert_eq!(table.len(), 4, "numbers are no tensors");
    assert_eq!(values(&table, "tail"), [12., 13., 14., 15.]);
    assert_eq!(values(&table, "transposed"), [1., 5., 2., 6., 3., 7.]);
    assert_eq!(values(&table, "parameter"), [15.]);
    assert!(
        table["positions"]
            .read(DType::F32, &Device::Cpu, false)
            .is_err()
    );
}

#[test]
fn views_beyond_their_storage_are_refused() {
    for (offset, size, stride) in [
        (13, [2, 2], [2, 1]),
        (0, [4, 5], [4, 1]),
        (0, [2, 2], [255, 1]),
    ] {
        let pickle = dictionary(&[("w", view("FloatStorage", offset, &size, &stride))]);
        let error = table(&file(&pickle, &sixteen(), CompressionMethod::Stored))
            .map(drop)
            .unwrap_err();
        assert!(error.to_string().contains("tensor w"), "{error}");
    }
}

#[test]
fn protocol_4_and_a_nested_state_dict() {
    let inner = dictionary(&[("w", view("HalfStorage", 0, &[1], &[1]))]);
    // FRAME, SHORT_BINUNICODE, MEMOIZE, STACK_GLOBAL of a class that is never looked for.
    let mut pickle = b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94(\x8c\x05hyper\x94\x8c\x03lib\x94\x8c\x05Class\x94\x93)\x81}b".to_vec();
    pickle.extend(
        [
            text("state_dict"),
            inner[2..inner.len() - 1].to_vec(),
            b"u.".to_vec(),
        ]
        .concat(),
    );
    let table = table(&file(&pickle, &[0, 0x3c, 0, 0], CompressionMethod::Stored)).unwrap();
    assert_eq!(values(&table, "w"), [1.0]);
}

#[test]
fn what_cannot_be_read_in_place_is_refused() {
    let reason = |pickle: &[u8]| {
        table(&file(pickle, &sixteen(), CompressionMethod::Stored))
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert!(reason(b"\x80\x02K\x01.").contains("no dictionary"));
    assert!(reason(b"\x80\x02}(").contains("ends too early"));
    assert!(reason(b"\x80\x02\xff").contains("0xff"));
    // A list that holds itself, and a million tuples, each around the last.
    assert!(reason(b"\x80\x02]q\0h\0a.").contains("no dictionary"));
    let nested = [&b"\x80\x02)"[..], &vec![0x85; 1 << 20], b"."].concat();
    assert!(reason(&nested).contains("no dictionary"));
}
