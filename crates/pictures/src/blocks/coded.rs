//! A JPEG as its coefficients, by MozJPEG's build of libjpeg-turbo.
//!
//! libjpeg reports what it can't go on with by a function that must not return. Ours unwinds: the library is compiled for
//! that, its functions are declared `C-unwind`, and every call of one goes through [`guarded`].
#![expect(
    unsafe_code,
    reason = "libjpeg is C: its structs are made, filled and freed here, and nowhere else"
)]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use mozjpeg_sys as sys;

/// Coefficients of 8 x 8 samples, in rows from the lowest frequency, divided by their table.
pub(super) type Block = [i16; 64];

/// Scans that are read; a picture has some ten, and each goes over all coefficients.
const SCANS_MAX: c_int = 200;

/// Bytes that libjpeg writes before they are taken.
const BUFFER_BYTES: usize = 1 << 14;

/// What libjpeg warns of when coefficients are missing or guessed. Other warnings are about what lies between the segments.
const DAMAGE: [&str; 4] = [
    "premature end of data segment",
    "bad Huffman code",
    "instead of RST",
    "Inconsistent progression",
];

/// Why a file's blocks can't be used: often in the words of libjpeg, with places for numbers in them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(pub(super) String);

/// How the components of a picture mean colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colors {
    Gray,
    Rgb,
    YCbCr,
}

/// One of the planes that a picture is coded as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    /// Samples for [`Coded::sampling_max`] pixels, across and down.
    pub(super) sampling: (u32, u32),
    /// Blocks in a row, and rows.
    pub(super) blocks: (u32, u32),
    /// What coefficients are multiplied with, in their order.
    pub(super) table: [u16; 64],
}

/// The coefficients of a JPEG.
pub(super) struct Coded<'a> {
    /// Width and height in pixels, as stored.
    pub(super) size: (u32, u32),
    pub(super) colors: Colors,
    pub(super) components: Vec<Component>,
    /// The greatest sampling of any component, across and down.
    pub(super) sampling_max: (u32, u32),
    progressive: bool,
    arrays: *mut *mut sys::jvirt_barray_control,
    /// What `arrays` points to where color was added.
    colored: Option<Box<[*mut sys::jvirt_barray_control; 3]>>,
    reader: Reader<'a>,
}

impl<'a> Coded<'a> {
    /// Reads all coefficients of a picture that must have this size: a file may say another one to libjpeg than to the decoder
    /// that found it to be within bounds.
    pub(super) fn read(bytes: &'a [u8], size: (u32, u32)) -> Result<Self, Unusable> {
        let mut reader = Reader::new(bytes)?;
        let info = reader.info_mut();
        // SAFETY: `info` was created and has a source; the bytes outlive it.
        guarded(|| unsafe { sys::jpeg_read_header(info, 1) })?;
        if (info.image_width, info.image_height) != size {
            return Err(Unusable("it has another size".to_owned()));
        }
        let colors = match (info.jpeg_color_space, info.num_components) {
            (sys::JCS_GRAYSCALE, 1) => Colors::Gray,
            (sys::JCS_RGB, 3) => Colors::Rgb,
            (sys::JCS_YCbCr, 3) => Colors::YCbCr,
            _ => {
                return Err(Unusable(
                    "its colors are neither RGB nor gray but for print".to_owned(),
                ));
            }
        };
        // SAFETY: its header was read.
        let arrays = guarded(|| unsafe { sys::jpeg_read_coefficients(info) })?;
        // SAFETY: the reader owns it, and libjpeg is not reading.
        if let Some(damage) = unsafe { (*reader.reading).damage } {
            return Err(Unusable(damage.to_owned()));
        }
        let info = reader.info();
        // SAFETY: after a header was read there are so many, and a table for each of them.
        let components = unsafe {
            std::slice::from_raw_parts(info.comp_info, info.num_components as usize)
                .iter()
                .map(|component| {
                    let table = component.quant_table.as_ref()?;
                    Some(Component {
                        sampling: (
                            component.h_samp_factor as u32,
                            component.v_samp_factor as u32,
                        ),
                        blocks: (component.width_in_blocks, component.height_in_blocks),
                        table: table.quantval,
                    })
                })
                .collect::<Option<Vec<_>>>()
        };
        let components = components.ok_or_else(|| Unusable("a table is missing".to_owned()))?;
        if components.iter().any(|it| it.table.contains(&0)) {
            return Err(Unusable("a table has a zero".to_owned()));
        }
        Ok(Self {
            size,
            colors,
            components,
            sampling_max: (info.max_h_samp_factor as u32, info.max_v_samp_factor as u32),
            progressive: !info.coef_bits.is_null(),
            arrays,
            colored: None,
            reader,
        })
    }

    /// A row of blocks of a component.
    pub(super) fn row(&mut self, component: usize, row: u32) -> Result<&mut [Block], Unusable> {
        let (across, down) = self.components[component].blocks;
        assert!(row < down, "rows of blocks are counted by their component");
        let (info, arrays) = (self.reader.info_mut(), self.arrays);
        let blocks = guarded(|| {
            // SAFETY: libjpeg made an array for each component, of which `row` is one of the rows and has `across` blocks;
            // without a temporary file, which this build has none of, it stays where it is. The result borrows `self`.
            unsafe {
                let access = (*info.common.mem).access_virt_barray;
                let array = *arrays.add(component);
                let rows = access.map(|access| access(&mut info.common, array, row, 1, 1));
                rows.map(|rows| std::slice::from_raw_parts_mut((*rows).cast(), across as usize))
            }
        })?;
        blocks.ok_or_else(|| Unusable("no access to the blocks".to_owned()))
    }

    /// Gives a gray picture the two components of color, which say that it is gray. Its own samples stay.
    pub(super) fn add_color(&mut self) -> Result<(), Unusable> {
        let [gray] = &self.components[..] else {
            return Err(Unusable("it is not gray".to_owned()));
        };
        let gray = gray.clone();
        let (across, down) = gray.blocks;
        let (info, own) = (self.reader.info_mut(), self.arrays);
        guarded(|| {
            // SAFETY: a header was read, so there is a memory manager; libjpeg checks what it is asked for, frees it with the
            // reader, and its arrays are found by their place in ours.
            unsafe {
                let memory = &*info.common.mem;
                let made = memory.request_virt_barray.zip(memory.realize_virt_arrays);
                let (request, realize) = made?;
                let mut array = || {
                    request(
                        &mut info.common,
                        sys::JPOOL_IMAGE as c_int,
                        1,
                        across,
                        down,
                        1,
                    )
                };
                let arrays = [*own, array(), array()];
                realize(&mut info.common);
                Some(arrays)
            }
        })?
        .map(|arrays| self.colored = Some(Box::new(arrays)))
        .ok_or_else(|| Unusable("no access to the blocks".to_owned()))?;
        if let Some(arrays) = &mut self.colored {
            self.arrays = arrays.as_mut_ptr();
        }
        self.components = vec![gray; 3];
        self.colors = Colors::YCbCr;
        // They are zeros once they were asked for from the first row on.
        for component in 1..3 {
            for row in 0..down {
                self.row(component, row)?;
            }
        }
        Ok(())
    }

    /// Whether a component of color says anything.
    pub(super) fn has_color(&mut self) -> Result<bool, Unusable> {
        for component in 1..self.components.len() {
            for row in 0..self.components[component].blocks.1 {
                if self
                    .row(component, row)?
                    .iter()
                    .any(|block| *block != [0; 64])
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Takes these components away again.
    pub(super) fn drop_color(&mut self) {
        if self.colored.is_some() {
            self.components.truncate(1);
            self.colors = Colors::Gray;
        }
    }

    /// Codes the coefficients as they are now, progressively if they came so. There is nothing between the start of the file
    /// and its tables.
    pub(super) fn write(&mut self) -> Result<Vec<u8>, Unusable> {
        let writer = Writer::new()?;
        guarded(|| {
            // SAFETY: both were created and outlive the call; the arrays belong to the reader, which is alive.
            unsafe {
                let (info, from) = (&mut (*writer.writing).info, self.reader.info());
                // Plain libjpeg: nothing of what MozJPEG changes to make files smaller.
                let profile = sys::JINT_COMPRESS_PROFILE_VALUE::JCP_FASTEST;
                sys::jpeg_c_set_int_param(info, sys::JINT_COMPRESS_PROFILE, profile as c_int);
                sys::jpeg_copy_critical_parameters(from, info);
                if self.colored.is_some() && self.colors == Colors::YCbCr {
                    let table = (*info.comp_info).quant_tbl_no;
                    info.input_components = 3;
                    sys::jpeg_set_colorspace(info, sys::JCS_YCbCr);
                    for component in std::slice::from_raw_parts_mut(info.comp_info, 3) {
                        (component.h_samp_factor, component.v_samp_factor) = (1, 1);
                        component.quant_tbl_no = table;
                    }
                }
                sys::jpeg_c_set_bool_param(info, sys::JBOOLEAN_OPTIMIZE_SCANS, 0);
                if self.progressive {
                    sys::jpeg_simple_progression(info);
                } else {
                    info.num_scans = 0;
                    info.scan_info = ptr::null();
                }
                info.optimize_coding = 1;
                info.write_JFIF_header = 0;
                info.write_Adobe_marker = 0;
                sys::jpeg_write_coefficients(info, self.arrays);
                sys::jpeg_finish_compress(info);
            }
        })?;
        // SAFETY: the writer owns it, and libjpeg is done.
        Ok(unsafe { std::mem::take(&mut (*writer.writing).out.bytes) })
    }
}

/// What libjpeg is given to read with. It points into itself, so it stays where it was made.
struct Reading {
    info: sys::jpeg_decompress_struct,
    errors: sys::jpeg_error_mgr,
    progress: sys::jpeg_progress_mgr,
    damage: Option<&'static str>,
}

/// Owns a [`Reading`].
struct Reader<'a> {
    reading: *mut Reading,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Unusable> {
        // SAFETY: zeros are a value of each field.
        let reading = Box::into_raw(Box::new(unsafe { std::mem::zeroed::<Reading>() }));
        let reader = Self {
            reading,
            bytes: PhantomData,
        };
        // SAFETY: `reading` was just made; the bytes outlive it.
        guarded(|| unsafe {
            let info = &mut (*reading).info;
            info.common.err = errors(&raw mut (*reading).errors);
            sys::jpeg_create_decompress(info);
            (*reading).progress.progress_monitor = Some(scans_count);
            info.common.progress = &raw mut (*reading).progress;
            info.common.client_data = (&raw mut (*reading).damage).cast();
            sys::jpeg_mem_src(info, bytes.as_ptr(), bytes.len() as _);
        })?;
        Ok(reader)
    }

    fn info(&self) -> &sys::jpeg_decompress_struct {
        // SAFETY: it lives as long as `self`.
        unsafe { &(*self.reading).info }
    }

    fn info_mut(&mut self) -> &mut sys::jpeg_decompress_struct {
        // SAFETY: it lives as long as `self`.
        unsafe { &mut (*self.reading).info }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // SAFETY: destroying is right after every error, and of zeros does nothing.
        unsafe {
            sys::jpeg_destroy_decompress(&mut (*self.reading).info);
            drop(Box::from_raw(self.reading));
        }
    }
}

/// What libjpeg is given to write with. It points into itself, so it stays where it was made.
struct Writing {
    info: sys::jpeg_compress_struct,
    errors: sys::jpeg_error_mgr,
    destination: sys::jpeg_destination_mgr,
    out: Out,
}

/// What was written, and the buffer that libjpeg fills next.
struct Out {
    bytes: Vec<u8>,
    buffer: [u8; BUFFER_BYTES],
}

/// Owns a [`Writing`].
struct Writer {
    writing: *mut Writing,
}

impl Writer {
    fn new() -> Result<Self, Unusable> {
        let writing = Box::into_raw(Box::new(Writing {
            // SAFETY: zeros are a value of each of these.
            info: unsafe { std::mem::zeroed() },
            errors: unsafe { std::mem::zeroed() },
            destination: unsafe { std::mem::zeroed() },
            out: Out {
                bytes: Vec::new(),
                buffer: [0; BUFFER_BYTES],
            },
        }));
        let writer = Self { writing };
        // SAFETY: `writing` was just made.
        guarded(|| unsafe {
            let info = &mut (*writing).info;
            info.common.err = errors(&raw mut (*writing).errors);
            sys::jpeg_create_compress(info);
            let destination = &mut (*writing).destination;
            destination.init_destination = Some(out_start);
            destination.empty_output_buffer = Some(out_full);
            destination.term_destination = Some(out_end);
            info.dest = destination;
            info.common.client_data = (&raw mut (*writing).out).cast();
        })?;
        Ok(writer)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: destroying is right after every error, and of zeros does nothing.
        unsafe {
            sys::jpeg_destroy_compress(&mut (*self.writing).info);
            drop(Box::from_raw(self.writing));
        }
    }
}

/// Calls libjpeg, and makes what it can't go on with an error.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Unusable> {
    // What unwound is only destroyed afterwards.
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| match payload.downcast::<Unusable>() {
        Ok(unusable) => *unusable,
        Err(other) => resume_unwind(other),
    })
}

/// Fills an error manager.
unsafe fn errors(errors: *mut sys::jpeg_error_mgr) -> *mut sys::jpeg_error_mgr {
    // SAFETY: the caller's pointer is to one, whose fields may be anything.
    unsafe {
        sys::jpeg_std_error(&mut *errors);
        (*errors).error_exit = Some(error_exit);
        (*errors).emit_message = Some(emit_message);
    }
    errors
}

/// The message that an error manager holds, without its numbers.
fn message(info: &sys::jpeg_common_struct) -> &'static str {
    // SAFETY: libjpeg set the error manager; its table of static texts ends with `last_jpeg_message`.
    let text = unsafe {
        let errors = &*info.err;
        (0..=errors.last_jpeg_message)
            .contains(&errors.msg_code)
            .then(|| *errors.jpeg_message_table.add(errors.msg_code as usize))
            .filter(|text| !text.is_null())
            .map(|text| CStr::from_ptr(text.cast()))
    };
    text.and_then(|text| text.to_str().ok())
        .unwrap_or("unknown")
}

unsafe extern "C-unwind" fn error_exit(info: &mut sys::jpeg_common_struct) {
    // Not a panic, so that no hook prints it.
    resume_unwind(Box::new(Unusable(message(info).to_owned())));
}

/// A negative level is a warning; traces are not asked for.
unsafe extern "C-unwind" fn emit_message(info: &mut sys::jpeg_common_struct, level: c_int) {
    let text = message(info);
    if level < 0 && info.is_decompressor != 0 && DAMAGE.iter().any(|damage| text.contains(damage)) {
        // SAFETY: a reader's client data is where damage is noted.
        unsafe { *info.client_data.cast::<Option<&'static str>>() = Some(text) };
    }
}

unsafe extern "C-unwind" fn scans_count(info: &mut sys::jpeg_common_struct) {
    // SAFETY: only readers have this monitor, and a reader's struct begins with the common one.
    let reader = unsafe { &*ptr::from_mut(info).cast::<sys::jpeg_decompress_struct>() };
    if reader.input_scan_number > SCANS_MAX {
        resume_unwind(Box::new(Unusable("it has too many scans".to_owned())));
    }
}

/// Takes `used` bytes of the buffer and gives it out again.
unsafe fn out_take(info: &mut sys::jpeg_compress_struct, used: impl FnOnce(usize) -> usize) {
    // SAFETY: a writer's client data is its output, and its destination is set.
    let (out, destination) =
        unsafe { (&mut *info.common.client_data.cast::<Out>(), &mut *info.dest) };
    let used = used(destination.free_in_buffer);
    out.bytes.extend_from_slice(&out.buffer[..used]);
    destination.next_output_byte = out.buffer.as_mut_ptr();
    destination.free_in_buffer = out.buffer.len();
}

unsafe extern "C-unwind" fn out_start(info: &mut sys::jpeg_compress_struct) {
    // SAFETY: libjpeg calls it with a writer's struct.
    unsafe { out_take(info, |_| 0) };
}

unsafe extern "C-unwind" fn out_full(info: &mut sys::jpeg_compress_struct) -> sys::boolean {
    // SAFETY: libjpeg calls it with a writer's struct. The buffer is full, whatever the counter says.
    unsafe { out_take(info, |_| BUFFER_BYTES) };
    1
}

unsafe extern "C-unwind" fn out_end(info: &mut sys::jpeg_compress_struct) {
    // SAFETY: libjpeg calls it with a writer's struct.
    unsafe { out_take(info, |free| BUFFER_BYTES - free.min(BUFFER_BYTES)) };
}
