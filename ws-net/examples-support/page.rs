//! The chat page over ordinary HTTP: three files that are part of the program.

use http_body_util::Full;

use crate::ws::Bytes;
use crate::ws::http::{Method, Request, RequestBody, Response, StatusCode, header};

const PAGE: &str = include_str!("assets/chat.html");
const STYLE: &str = include_str!("assets/chat.css");
const SCRIPT: &str = include_str!("assets/chat.js");

/// Answers one request.
pub(crate) fn answer(request: &Request<RequestBody>) -> Response<Full<Bytes>> {
    let file = match request.uri().path() {
        "/" => Some(("text/html; charset=utf-8", PAGE)),
        "/chat.css" => Some(("text/css; charset=utf-8", STYLE)),
        "/chat.js" => Some(("text/javascript; charset=utf-8", SCRIPT)),
        _ => None,
    };
    let (status, kind, body) = match (request.method(), file) {
        (&Method::GET | &Method::HEAD, Some((kind, body))) => (StatusCode::OK, kind, body),
        (_, Some(_)) => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET and HEAD here\n"),
        (_, None) => (StatusCode::NOT_FOUND, "text/plain", "nothing here: the chat is at /\n"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}
