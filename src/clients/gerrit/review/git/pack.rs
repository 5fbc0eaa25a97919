//! Git's protocol, as far as a fetch needs it: version 2, one request, one pack (gitprotocol-v2). The server is told
//! which tips are here and sends the rest.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use lockstep_core::domain::promotion::gate::evidence::CommitId;

use super::text;

/// The body of a fetch.
pub(super) fn request(tip: &CommitId, known: &[CommitId]) -> Vec<u8> {
    let mut lines = vec!["command=fetch\n".to_owned(), "object-format=sha1".to_owned()];
    let arguments = lines.len();
    lines.push("ofs-delta\n".to_owned());
    lines.push("no-progress\n".to_owned());
    lines.push(format!("want {tip}\n"));
    lines.extend(known.iter().map(|tip| format!("have {tip}\n")));
    // Without a word on what both have: the server takes all tips that it knows.
    lines.push("done\n".to_owned());
    let mut body = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if at == arguments {
            body.extend(b"0001");
        }
        body.extend(format!("{:04x}{line}", line.len() + 4).into_bytes());
    }
    body.extend(b"0000");
    body
}

/// Takes an answer's pack into the repository, checked and indexed.
pub(super) fn take_in(answer: &Path, repository: &Path) -> Result<(), String> {
    let packs = repository.join("objects/pack");
    fs::create_dir_all(&packs).map_err(text)?;
    let file = BufReader::new(File::open(answer).map_err(text)?);
    let mut pack = BufReader::new(Sideband::open(file).map_err(text)?);
    let options = gix_pack::bundle::write::Options {
        thread_limit: Some(1),
        ..gix_pack::bundle::write::Options::default()
    };
    let taken = gix_pack::Bundle::write_to_directory(
        &mut pack,
        Some(&packs),
        &mut gix::progress::Discard,
        &AtomicBool::new(false),
        // Packs are never thin: none was asked for.
        None::<gix::odb::Handle>,
        gix::hash::Kind::Sha1,
        options,
    )
    .map_err(text)?;
    if let Some(keep) = taken.keep_path {
        fs::remove_file(keep).map_err(text)?;
    }
    Ok(())
}

/// What stands before the content of a packet.
enum Packet {
    /// Bytes that follow.
    Data(usize),
    Delimiter,
    Flush,
}

fn packet(from: &mut impl Read) -> io::Result<Packet> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = std::str::from_utf8(&length)
        .ok()
        .and_then(|text| usize::from_str_radix(text, 16).ok());
    match length {
        Some(0 | 2) => Ok(Packet::Flush),
        Some(1) => Ok(Packet::Delimiter),
        Some(length @ 4..) => Ok(Packet::Data(length - 4)),
        _ => Err(io::Error::other("the answer is no answer of git")),
    }
}

fn content(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut content = vec![0; length];
    from.read_exact(&mut content)?;
    Ok(content)
}

fn refused(content: &[u8]) -> io::Error {
    let said: String = String::from_utf8_lossy(content).chars().take(300).collect();
    io::Error::other(format!("the server says: {}", said.trim()))
}

/// The pack inside an answer, without the bands around it.
struct Sideband<R> {
    from: R,
    left: usize,
    over: bool,
}

impl<R: Read> Sideband<R> {
    /// Reads up to where the pack begins.
    fn open(mut from: R) -> io::Result<Self> {
        loop {
            match packet(&mut from)? {
                Packet::Data(length) => {
                    let line = content(&mut from, length)?;
                    if line.starts_with(b"ERR ") {
                        return Err(refused(&line));
                    }
                    if line.trim_ascii_end() == b"packfile" {
                        return Ok(Self {
                            from,
                            left: 0,
                            over: false,
                        });
                    }
                }
                Packet::Delimiter => {}
                Packet::Flush => return Err(io::Error::other("the answer holds no pack")),
            }
        }
    }

    /// Goes to the next bytes of the pack.
    fn advance(&mut self) -> io::Result<()> {
        while self.left == 0 && !self.over {
            match packet(&mut self.from)? {
                Packet::Flush => self.over = true,
                Packet::Delimiter | Packet::Data(0) => {}
                Packet::Data(length) => {
                    let mut band = [0];
                    self.from.read_exact(&mut band)?;
                    match band {
                        [1] => self.left = length - 1,
                        // Progress, for people.
                        [2] => drop(content(&mut self.from, length - 1)?),
                        _ => return Err(refused(&content(&mut self.from, length - 1)?)),
                    }
                }
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Sideband<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.advance()?;
        let most = self.left.min(buffer.len());
        let read = self.from.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &[u8]) -> io::Result<String> {
        let mut pack = String::new();
        Sideband::open(answer)?.read_to_string(&mut pack)?;
        Ok(pack)
    }

    #[test]
    fn a_request_names_what_is_wanted_and_what_is_here() {
        let commit = |digit: &str| CommitId(digit.repeat(40));
        let body = String::from_utf8(request(&commit("a"), &[commit("b")])).unwrap();
        let expected = format!(
            "0012command=fetch\n0016object-format=sha10001000eofs-delta\n0010no-progress\n0032want {}\n0032have {}\n0009done\n0000",
            "a".repeat(40),
            "b".repeat(40)
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn a_pack_is_what_the_first_band_says() {
        let answer = b"000dpackfile\n0007\x01ab000c\x02working0006\x01c0000";
        assert_eq!(read(answer).unwrap(), "abc");
    }

    #[test]
    fn what_is_no_pack_is_told_with_the_servers_words() {
        let said = |answer: &[u8]| read(answer).unwrap_err().to_string();
        assert!(said(b"0015ERR not our ref x").contains("not our ref x"));
        assert!(said(b"000dpackfile\n000b\x03broken").contains("broken"));
        assert!(said(b"0000").contains("no pack"));
        assert!(said(b"<html>").contains("no answer of git"));
        assert!(read(b"000dpackfile\n0009\x01ab").is_err(), "cut off");
    }
}
