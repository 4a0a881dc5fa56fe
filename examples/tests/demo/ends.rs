//! How the program ends, and begins again.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::chat::{Line, page};
use crate::program::Shop;

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_end() {
    let mut shop = Shop::open().await;
    let ann = shop.visitor();
    let (token, cookie) = (ann.token().await, ann.cookie().unwrap());
    let mut connection = TcpStream::connect(shop.addresses[0]).await.unwrap();
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nCookie: id={cookie}\r\n\
         X-CSRF-Token: {token}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 8\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // Comes when the handler, which has the session by then, wants the form.
    let mut go_on = [0; 25];
    connection.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    // A connection without a request holds up nobody.
    let _idle = TcpStream::connect(shop.addresses[0]).await.unwrap();

    shop.signal("-TERM").await;
    assert_eq!(shop.says().await, "draining");
    connection.write_all(b"name=Ann").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 303 See Other\r\n"), "{answer}");
    assert!(answer.contains("set-cookie: id="), "{answer}");

    assert_eq!(shop.says().await, "drained");
    assert_eq!(shop.ends().await.code(), Some(0));
}

#[tokio::test]
async fn ctrl_c_is_an_orderly_end() {
    let mut shop = Shop::open().await;
    let at = shop.addresses[0];
    let ann = shop.visitor();
    ann.sends("/login", "name=Ann").await;
    let mut line = Line::open(at, &page(at), ann.cookie()).await.ok().unwrap();
    shop.signal("-INT").await;
    assert_eq!(line.hears().await, "The shop is closing.");
    assert_eq!(shop.says().await, "draining");
    assert_eq!(shop.says().await, "drained");
    assert_eq!(shop.ends().await.code(), Some(0));
}

#[tokio::test]
async fn a_cart_is_still_there_after_a_restart() {
    let mut shop = Shop::open().await;
    let (ann, dir) = (shop.visitor(), shop.dir.clone());
    ann.sends("/cart/key/add", "").await;
    ann.sends("/login", "name=Ann").await;
    shop.signal("-INT").await;
    assert_eq!(shop.says().await, "draining");
    assert_eq!(shop.says().await, "drained");
    assert_eq!(shop.ends().await.code(), Some(0));

    let shop = Shop::open_in(dir, &[]).await;
    let back = shop.visitor();
    back.client.set_cookie("id", &ann.cookie().unwrap());
    assert!(back.sees("/cart").await.contains("Iron key"));
    assert!(back.sees("/session").await.contains("Ann"));
}
