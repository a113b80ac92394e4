//! Requests as clients of each version send them, and frames as they send them.

/// A request for RFC 6455 with the key of its section 1.3.
pub const RFC6455: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nOrigin: http://example.com\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A request for draft75, as the draft writes it.
pub const DRAFT75: &str = "GET /demo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
    Host: example.com\r\nOrigin: http://example.com\r\n\r\n";

/// A request for draft76 with the keys of its section 1.2, without the eight bytes behind it.
pub const DRAFT76: &str = "GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nOrigin: http://example.com\r\n\r\n";

/// The eight bytes behind [`DRAFT76`].
pub const KEY3: &[u8; 8] = b"^n:ds[4U";

/// The sixteen bytes that answer [`DRAFT76`] and [`KEY3`].
pub const ANSWER76: &[u8; 16] = b"8jKS'y:G*Co,Wxa-";

/// `request` with a field added.
pub fn with(request: &str, field: &str) -> String {
    request.replacen("\r\n", &format!("\r\n{field}\r\n"), 1)
}

/// `request` without the field of this name.
pub fn without(request: &str, name: &str) -> String {
    let keep = |line: &&str| !line.to_lowercase().starts_with(&format!("{}:", name.to_lowercase()));
    request.split_inclusive("\r\n").filter(keep).collect()
}

/// `request` with the field of this name given another value.
pub fn replace(request: &str, name: &str, value: &str) -> String {
    with(&without(request, name), &format!("{name}: {value}"))
}

/// A masked frame with this first byte, in the shortest form.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            bytes.push(0xFE);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0xFF);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    let key = [0x37, 0xFA, 0x21, 0x3D];
    bytes.extend(key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}
