//! The compact form of an event inside frames, and a view of it that copies nothing.
//!
//! Layout, little endian: a fixed head, the text fields one after the other, the extensions (name
//! length, kind, value length, name, value), the data. A reader needs one pass over the head.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use uuid::Uuid;

use super::event::{Event, Extension};

/// The cause of an event that came from outside.
const NO_CAUSE: u64 = u64::MAX;
const NONE: u16 = u16::MAX;
const NO_DATA: u32 = u32::MAX;

const TEXTS: usize = 9;
const FLOW_AT: usize = 4 + 2 + 2;
const LENS_AT: usize = FLOW_AT + 16 + 8 + 4;
const HEAD: usize = LENS_AT + TEXTS * 2 + 2;

/// What the host adds to an event when it takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The flow: everything that one initiating event caused.
    pub flow: Uuid,
    /// The journal position of the direct cause.
    pub cause: Option<u64>,
    /// The id of the direct cause.
    pub causationid: Option<&'a str>,
    /// How many handlings lie between the initiating event and this one.
    pub hops: u16,
}

/// The parts of an event that is about to be recorded, borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts<'a> {
    /// See [`Event`].
    pub id: &'a str,
    /// See [`Event`].
    pub source: &'a str,
    /// See [`Event`].
    pub ty: &'a str,
    /// See [`Event`].
    pub subject: Option<&'a str>,
    /// The CloudEvents partitioning extension.
    pub partitionkey: Option<&'a str>,
    /// See [`Event`].
    pub datacontenttype: Option<&'a str>,
    /// See [`Event`].
    pub dataschema: Option<&'a str>,
    /// See [`Event`].
    pub time: Option<&'a str>,
    /// See [`Event`].
    pub data: Option<&'a [u8]>,
}

/// Bytes that are no record. Frames are checksummed, so this is a fault of the host, not of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed record: {0}")]
pub struct Malformed(pub &'static str);

/// Writes one record behind what `out` holds. `extensions` yields name, kind and text.
pub fn encode<'a>(
    out: &mut Vec<u8>,
    parts: &Parts<'_>,
    stamp: &Stamp<'_>,
    extensions: impl Iterator<Item = (&'a str, ExtensionKind, &'a str)>,
) {
    let start = out.len();
    let texts = [
        Some(parts.id),
        Some(parts.source),
        Some(parts.ty),
        parts.subject,
        parts.partitionkey,
        parts.datacontenttype,
        parts.dataschema,
        parts.time,
        stamp.causationid,
    ];
    out.extend_from_slice(&head(parts, stamp, &texts));
    for text in texts.into_iter().flatten() {
        out.extend_from_slice(text.as_bytes());
    }
    let mut count: u16 = 0;
    for (name, kind, value) in extensions {
        out.push(name.len() as u8);
        out.push(kind as u8);
        out.extend_from_slice(&(value.len() as u16).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(value.as_bytes());
        count += 1;
    }
    if let Some(data) = parts.data {
        out.extend_from_slice(data);
    }
    let len = (out.len() - start) as u32;
    overwrite(out, start, &len.to_le_bytes());
    overwrite(out, start + 6, &count.to_le_bytes());
}

fn overwrite(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// The fixed head; its length and its number of extensions come last.
fn head(parts: &Parts<'_>, stamp: &Stamp<'_>, texts: &[Option<&str>; TEXTS]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let data_len = parts.data.map_or(NO_DATA, |data| data.len() as u32);
    let cause = stamp.cause.unwrap_or(NO_CAUSE);
    head[4..6].copy_from_slice(&stamp.hops.to_le_bytes());
    head[FLOW_AT..FLOW_AT + 16].copy_from_slice(stamp.flow.as_bytes());
    head[FLOW_AT + 16..FLOW_AT + 24].copy_from_slice(&cause.to_le_bytes());
    head[FLOW_AT + 24..LENS_AT].copy_from_slice(&data_len.to_le_bytes());
    for (place, text) in head[LENS_AT..].chunks_exact_mut(2).zip(texts) {
        place.copy_from_slice(&text.map_or(NONE, |text| text.len() as u16).to_le_bytes());
    }
    head
}

/// An owned event as its parts and extensions; `partitionkey` may stand among its extensions.
pub struct Borrowed<'a> {
    /// Its parts.
    pub parts: Parts<'a>,
    texts: Vec<(&'a str, ExtensionKind, Cow<'a, str>)>,
}

impl<'a> Borrowed<'a> {
    /// The parts of an event.
    pub fn of(event: &'a Event) -> Self {
        let partitionkey = match event.extensions.get("partitionkey") {
            Some(Extension::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let parts = Parts {
            id: &event.id,
            source: &event.source,
            ty: &event.ty,
            subject: event.subject.as_deref(),
            partitionkey,
            datacontenttype: event.datacontenttype.as_deref(),
            dataschema: event.dataschema.as_deref(),
            time: event.time.as_deref(),
            data: event.data.as_deref(),
        };
        let own = |name: &str| partitionkey.is_none() || name != "partitionkey";
        let texts = event.extensions.iter().filter(|(name, _)| own(name));
        let texts = texts.map(|(name, value)| (name.as_str(), ExtensionKind::of(value), text_of(value)));
        Self { parts, texts: texts.collect() }
    }

    /// The extensions but for `partitionkey`: name, kind, text.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, ExtensionKind, &str)> {
        self.texts.iter().map(|(name, kind, text)| (*name, *kind, text.as_ref()))
    }

    /// Records it.
    pub fn encode(&self, out: &mut Vec<u8>, stamp: &Stamp<'_>) {
        encode(out, &self.parts, stamp, self.extensions());
    }
}

fn text_of(value: &Extension) -> Cow<'_, str> {
    match value {
        Extension::Text(text) => text.into(),
        other => other.to_text().into(),
    }
}

/// Records an owned event.
pub fn encode_event(out: &mut Vec<u8>, event: &Event, stamp: &Stamp<'_>) {
    Borrowed::of(event).encode(out, stamp);
}

/// Where the key that an event has by default stands in the record that `bytes` holds, read without looking at the rest:
/// `partitionkey`, else `subject`, else `id`.
pub fn default_key_place(bytes: &[u8]) -> Option<Range<usize>> {
    let lens = bytes.get(LENS_AT..HEAD)?.as_chunks().0;
    let mut start = HEAD;
    let mut places = [None; TEXTS];
    for (place, len) in places.iter_mut().zip(lens.iter().copied().map(u16::from_le_bytes)) {
        if len != NONE {
            *place = Some((start, usize::from(len)));
            start += usize::from(len);
        }
    }
    let [id, _, _, subject, partitionkey, ..] = places;
    let (start, len) = partitionkey.or(subject).or(id)?;
    (start + len <= bytes.len()).then_some(start..start + len)
}

/// The flow of the record that `bytes` holds, read without looking at the rest.
pub fn flow_of(bytes: &[u8]) -> Option<Uuid> {
    Some(Uuid::from_bytes(*bytes.get(FLOW_AT..)?.first_chunk()?))
}

/// How the text of an extension is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExtensionKind {
    /// As it stands.
    Text = 0,
    /// As a number.
    Integer = 1,
    /// `true` or `false`.
    Boolean = 2,
}

impl ExtensionKind {
    fn of(value: &Extension) -> Self {
        match value {
            Extension::Text(_) => Self::Text,
            Extension::Integer(_) => Self::Integer,
            Extension::Boolean(_) => Self::Boolean,
        }
    }

    fn read(self, text: &str) -> Extension {
        match self {
            Self::Integer => {
                text.parse().map_or_else(|_| Extension::Text(text.to_owned()), Extension::Integer)
            }
            Self::Boolean => Extension::Boolean(text == "true"),
            Self::Text => Extension::Text(text.to_owned()),
        }
    }
}

/// A recorded event, borrowed from the frame that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The parts that are attributes of the event itself.
    pub parts: Parts<'a>,
    /// What the host added.
    pub stamp: Stamp<'a>,
    extensions: &'a [u8],
    extension_count: u16,
}

/// A cursor that cannot run past its bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    fn text(&mut self, len: usize) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.take(len)?).map_err(|_| Malformed("text is not UTF-8"))
    }
}

/// Takes the texts of these lengths. They are checked as the one text that they stand in: that they begin and end between
/// characters is all that each has to show by itself.
fn texts<'a>(from: &mut Cursor<'a>, lens: &[u8; TEXTS * 2]) -> Result<[Option<&'a str>; TEXTS], Malformed> {
    let lens = lens.as_chunks().0.iter().copied().map(u16::from_le_bytes);
    let bytes = lens.clone().filter(|len| *len != NONE).map(usize::from).sum();
    let mut rest = from.text(bytes)?;
    let mut texts = [None; TEXTS];
    for (text, len) in texts.iter_mut().zip(lens).filter(|(_, len)| *len != NONE) {
        let (head, tail) = rest.split_at_checked(len.into()).ok_or(Malformed("text is not UTF-8"))?;
        (*text, rest) = (Some(head), tail);
    }
    Ok(texts)
}

/// What an index needs of a record, read without looking at the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// See [`Stamp`].
    pub flow: Uuid,
    /// See [`Event`].
    pub source: &'a [u8],
    /// See [`Event`].
    pub id: &'a [u8],
}

impl<'a> Identity<'a> {
    /// Reads the identity of the record that `bytes` holds.
    pub fn of(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut head = Cursor(bytes);
        head.take(FLOW_AT)?;
        let flow = Uuid::from_bytes(head.array()?);
        head.take(LENS_AT - FLOW_AT - 16)?;
        let (id_len, source_len) = (head.u16()?, head.u16()?);
        let mut texts = Cursor(bytes);
        texts.take(HEAD)?;
        let mut text = |len: u16| texts.take(if len == NONE { 0 } else { len.into() });
        let id = text(id_len)?;
        Ok(Self { flow, source: text(source_len)?, id })
    }
}

/// The length of the record that starts `bytes`, itself included.
pub fn record_len(bytes: &[u8]) -> Result<usize, Malformed> {
    let head = bytes.first_chunk::<4>().ok_or(Malformed("it ends too early"))?;
    let len = u32::from_le_bytes(*head) as usize;
    if len < HEAD || len > bytes.len() {
        return Err(Malformed("its length is impossible"));
    }
    Ok(len)
}

impl<'a> Record<'a> {
    /// Reads the record that `bytes` holds.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut head = Cursor(bytes);
        head.take(4)?;
        let hops = head.u16()?;
        let extension_count = head.u16()?;
        let flow = Uuid::from_bytes(head.array()?);
        let cause = u64::from_le_bytes(head.array()?);
        let data_len = u32::from_le_bytes(head.array()?);
        let lens: [u8; TEXTS * 2] = head.array()?;
        head.take(2)?;
        let texts = texts(&mut head, &lens)?;
        let has_data = data_len != NO_DATA;
        let data_len = if has_data { data_len as usize } else { 0 };
        let extensions_len =
            head.0.len().checked_sub(data_len).ok_or(Malformed("its data ends too early"))?;
        let extensions = head.take(extensions_len)?;
        let [id, source, ty, subject, partitionkey, datacontenttype, dataschema, time, causationid] = texts;
        Ok(Self {
            parts: Parts {
                id: id.unwrap_or_default(),
                source: source.unwrap_or_default(),
                ty: ty.unwrap_or_default(),
                subject,
                partitionkey,
                datacontenttype,
                dataschema,
                time,
                data: has_data.then_some(head.0),
            },
            stamp: Stamp { flow, cause: (cause != NO_CAUSE).then_some(cause), causationid, hops },
            extensions,
            extension_count,
        })
    }

    /// How many extensions it has, `partitionkey` not counted.
    pub fn extension_count(&self) -> usize {
        self.extension_count.into()
    }

    /// The extensions but for `partitionkey`: name, kind, text.
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions { rest: Cursor(self.extensions), left: self.extension_count }
    }

    /// The text of one attribute or extension by its CloudEvents name, the host's own included.
    pub fn attribute(&self, name: &str) -> Option<Cow<'a, str>> {
        Some(match name {
            "id" => self.parts.id.into(),
            "source" => self.parts.source.into(),
            "type" => self.parts.ty.into(),
            "subject" => self.parts.subject?.into(),
            "partitionkey" => self.parts.partitionkey?.into(),
            "datacontenttype" => self.parts.datacontenttype?.into(),
            "dataschema" => self.parts.dataschema?.into(),
            "time" => self.parts.time?.into(),
            "causationid" => self.stamp.causationid?.into(),
            "correlationid" => self.stamp.flow.to_string().into(),
            _ => self.extensions().find(|(extension, ..)| *extension == name)?.2.into(),
        })
    }

    /// The event as protocols see it, with the host's attributes among its extensions.
    pub fn to_event(&self) -> Event {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let mut event = Event {
            id: self.parts.id.to_owned(),
            source: self.parts.source.to_owned(),
            ty: self.parts.ty.to_owned(),
            subject: owned(self.parts.subject),
            time: owned(self.parts.time),
            datacontenttype: owned(self.parts.datacontenttype),
            dataschema: owned(self.parts.dataschema),
            extensions: self
                .extensions()
                .map(|(name, kind, text)| (name.to_owned(), kind.read(text)))
                .collect(),
            data: self.parts.data.map(Bytes::copy_from_slice),
        };
        let host = [
            ("partitionkey", owned(self.parts.partitionkey)),
            ("causationid", owned(self.stamp.causationid)),
            ("correlationid", Some(self.stamp.flow.to_string())),
        ];
        for (name, value) in host {
            if let Some(value) = value {
                event.extensions.insert(name.to_owned(), Extension::Text(value));
            }
        }
        event
    }
}

/// Walks the extensions of a record.
pub struct Extensions<'a> {
    rest: Cursor<'a>,
    left: u16,
}

impl<'a> Extensions<'a> {
    fn read(&mut self) -> Result<(&'a str, ExtensionKind, &'a str), Malformed> {
        let [name_len, kind] = self.rest.array()?;
        let value_len = self.rest.u16()?;
        let kind = match kind {
            1 => ExtensionKind::Integer,
            2 => ExtensionKind::Boolean,
            _ => ExtensionKind::Text,
        };
        Ok((self.rest.text(name_len.into())?, kind, self.rest.text(value_len.into())?))
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (&'a str, ExtensionKind, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.read().ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn stamp() -> Stamp<'static> {
        Stamp { flow: Uuid::from_u128(7), cause: Some(41), causationid: Some("c"), hops: 3 }
    }

    fn event() -> Event {
        Event {
            id: "1".into(),
            source: "/shop".into(),
            ty: "order-created".into(),
            subject: Some("o-1".into()),
            time: Some("2026-01-31T12:00:00Z".into()),
            extensions: [
                ("flag".to_owned(), Extension::Boolean(true)),
                ("count".to_owned(), Extension::Integer(-5)),
                ("partitionkey".to_owned(), Extension::Text("k".into())),
            ]
            .into(),
            data: Some(Bytes::from_static(b"{}")),
            ..Event::default()
        }
    }

    #[test]
    fn a_record_holds_the_whole_event() {
        let mut bytes = Vec::new();
        encode_event(&mut bytes, &event(), &stamp());
        assert_eq!(record_len(&bytes).unwrap(), bytes.len());
        let record = Record::parse(&bytes).unwrap();
        let identity = Identity { flow: stamp().flow, source: b"/shop", id: b"1" };
        assert_eq!(Identity::of(&bytes), Ok(identity));
        assert_eq!(flow_of(&bytes), Some(stamp().flow));
        assert_eq!(default_key_place(&bytes).map(|place| &bytes[place]), Some(&b"k"[..]));
        assert_eq!(record.stamp, stamp());
        assert_eq!(record.parts.partitionkey, Some("k"));
        assert_eq!(record.attribute("count").as_deref(), Some("-5"));
        let mut expected = event();
        expected.extensions.insert("causationid".into(), Extension::Text("c".into()));
        expected.extensions.insert("correlationid".into(), Extension::Text(Uuid::from_u128(7).to_string()));
        assert_eq!(record.to_event(), expected);
    }

    #[test]
    fn absent_parts_stay_absent() {
        let mut bytes = Vec::new();
        let bare = Event { id: "1".into(), source: "/".into(), ty: "t".into(), ..Event::default() };
        encode_event(&mut bytes, &bare, &Stamp { cause: None, causationid: None, hops: 0, ..stamp() });
        let record = Record::parse(&bytes).unwrap();
        assert_eq!((record.parts.subject, record.parts.data, record.stamp.cause), (None, None, None));
        assert_eq!(default_key_place(&bytes).map(|place| &bytes[place]), Some(&b"1"[..]));
    }

    #[test]
    fn a_cut_record_is_malformed_and_never_a_panic() {
        let mut bytes = Vec::new();
        encode_event(&mut bytes, &event(), &stamp());
        for len in 0..HEAD {
            assert!(Record::parse(&bytes[..len]).is_err(), "{len}");
            assert!(Identity::of(&bytes[..len]).is_err(), "{len}");
            assert_eq!(default_key_place(&bytes[..len]), None, "{len}");
        }
    }
}
