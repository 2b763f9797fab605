package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"

	"go.mongodb.org/mongo-driver/bson"
)

// The format is that of the official tools, so that archives go both ways: a magic number, a header, what is known of each
// collection, a terminator; then runs of documents, each run with the name of its collection before it and a terminator after it,
// and for each collection an end with a checksum of all its documents.
const (
	toolVersion   = "100.0.0"
	formatVersion = "0.1"
	magic         = 0x8199e26d
	terminator    = 0xffffffff
	// What a document of a server may have, and then some for the server's own.
	maxDocument = 16<<20 + 16<<10
)

var crcTable = crc64.MakeTable(crc64.ECMA)

type header struct {
	Concurrent    int32  `bson:"concurrent_collections"`
	Version       string `bson:"version"`
	ServerVersion string `bson:"server_version"`
	ToolVersion   string `bson:"tool_version"`
}

// collectionInfo is what the beginning of an archive says of a collection; Metadata is canonical extended JSON.
type collectionInfo struct {
	Database   string `bson:"db"`
	Collection string `bson:"collection"`
	Metadata   string `bson:"metadata"`
	Size       int32  `bson:"size"`
	Type       string `bson:"type"`
}

func (c *collectionInfo) namespace() string { return c.Database + "." + c.Collection }

type metadata struct {
	Options        bson.D   `bson:"options"`
	Indexes        []bson.D `bson:"indexes"`
	UUID           string   `bson:"uuid,omitempty"`
	CollectionName string   `bson:"collectionName"`
	Type           string   `bson:"type,omitempty"`
}

// segment stands before a run of documents, or is the end of a collection.
type segment struct {
	Database   string `bson:"db"`
	Collection string `bson:"collection"`
	EOF        bool   `bson:"EOF"`
	CRC        int64  `bson:"CRC"`
}

func (s *segment) namespace() string { return s.Database + "." + s.Collection }

type writer struct{ out *bufio.Writer }

func (w writer) mark(number uint32) error {
	return binary.Write(w.out, binary.LittleEndian, number)
}

func (w writer) document(value any) error {
	raw, err := bson.Marshal(value)
	if err == nil {
		_, err = w.out.Write(raw)
	}
	return err
}

type reader struct{ in *bufio.Reader }

func (r reader) begin() error {
	var number uint32
	if err := binary.Read(r.in, binary.LittleEndian, &number); err != nil || number != magic {
		return errors.New("stream or file does not appear to be a mongodump archive")
	}
	return nil
}

// next gives the next document, or nil for a terminator. Only between runs may an archive end, which is io.EOF.
func (r reader) next() (bson.Raw, error) {
	var size uint32
	if err := binary.Read(r.in, binary.LittleEndian, &size); err != nil {
		return nil, err
	}
	if size == terminator {
		return nil, nil
	}
	if size < 5 || size > maxDocument {
		return nil, fmt.Errorf("corruption found in archive; a document of %d bytes", size)
	}
	document := make(bson.Raw, size)
	binary.LittleEndian.PutUint32(document, size)
	if _, err := io.ReadFull(r.in, document[4:]); err != nil {
		return nil, truncated(err)
	}
	return document, nil
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
