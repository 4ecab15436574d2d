//! The least client of a NATS server that can publish to JetStream
//! (docs.nats.io, "NATS Protocol" and "JetStream API").

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

const SUBJECT: &str = "bench";

pub(crate) struct Nats {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    answers: String,
    /// A publication of 1,400 bytes, about the size of a message of `sealed_message`.
    publication: Vec<u8>,
}

impl Nats {
    pub(crate) async fn open(address: SocketAddr, number: usize) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (reader, mut writer) = stream.into_split();
        // Each connection has answers of its own.
        let answers = format!("answers.{number}");
        let connect = "CONNECT {\"verbose\":false,\"pedantic\":false}";
        let hello = format!("{connect}\r\nSUB {answers} 1\r\n");
        writer.write_all(hello.as_bytes()).await.unwrap();
        let publication = format!("PUB {SUBJECT} {answers} 1400\r\n{}\r\n", "x".repeat(1400));
        Self {
            reader: BufReader::new(reader),
            writer,
            answers,
            publication: publication.into_bytes(),
        }
    }

    /// Makes the stream, kept in files.
    pub(crate) async fn make_stream(&mut self) {
        let config = format!(
            "{{\"name\":\"{SUBJECT}\",\"subjects\":[\"{SUBJECT}\"],\"storage\":\"file\",\"num_replicas\":1}}"
        );
        let request = format!(
            "PUB $JS.API.STREAM.CREATE.{SUBJECT} {} {}\r\n{config}\r\n",
            self.answers,
            config.len()
        );
        self.writer.write_all(request.as_bytes()).await.unwrap();
        let answer = self.answer().await;
        assert!(answer.contains("\"created\""), "{answer}");
    }

    /// Publishes without waiting.
    pub(crate) async fn publish(&mut self) {
        self.writer.write_all(&self.publication).await.unwrap();
    }

    /// Waits until a publication was acknowledged.
    pub(crate) async fn acknowledged(&mut self) {
        let answer = self.answer().await;
        assert!(answer.contains("\"seq\""), "{answer}");
    }

    async fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.reader.read_line(&mut line).await.unwrap(), 0);
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("MSG") => {
                    let length: usize = words.next_back().unwrap().parse().unwrap();
                    let mut answer = vec![0; length + 2];
                    self.reader.read_exact(&mut answer).await.unwrap();
                    return String::from_utf8(answer).unwrap();
                }
                Some("PING") => self.writer.write_all(b"PONG\r\n").await.unwrap(),
                Some("-ERR") => panic!("{line}"),
                _ => {}
            }
        }
    }
}
