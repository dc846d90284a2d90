//! What real PBXs sent, played through reader and model: real bytes of an Asterisk 22.10.1, and odd ones.

mod archive;
mod captures;
mod mutations;
mod odd_bytes;
mod reconnects;
