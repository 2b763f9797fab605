package main

import (
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const rows = 64

func main() {
	version, err := os.ReadFile("/version")
	if err != nil || strings.Contains(string(version), "broken") {
		os.Exit(9)
	}
	page := strings.Repeat(string(version), rows)
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, page)
	})
	http.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		for row := 0; row < rows; row++ {
			io.WriteString(w, string(version))
			w.(http.Flusher).Flush()
			time.Sleep(2 * time.Second / rows)
		}
	})
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		connection, buffer, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer connection.Close()
		io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
			base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
		io.Copy(connection, buffer)
	})
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil {
		os.Exit(1)
	}
}
