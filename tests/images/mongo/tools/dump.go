package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"
	"go.mongodb.org/mongo-driver/mongo"
)

func (s *settings) dump(ctx context.Context, client *mongo.Client) (err error) {
	var out io.Writer = os.Stdout
	target := "archive on stdout"
	if s.archive.file != "" {
		file, err := os.Create(s.archive.file)
		if err != nil {
			return err
		}
		defer file.Close()
		out, target = file, fmt.Sprintf("archive '%s'", s.archive.file)
	}
	if s.gzip {
		compressed := gzip.NewWriter(out)
		defer func() {
			if closed := compressed.Close(); err == nil {
				err = closed
			}
		}()
		out = compressed
	}
	w := writer{bufio.NewWriterSize(out, 1<<20)}
	collections, err := s.beginning(ctx, client, w)
	if err != nil {
		return err
	}
	for _, collection := range collections {
		if collection.Type == "view" {
			continue
		}
		s.say("writing %s to %s", collection.namespace(), target)
		count, err := documents(ctx, client, w, collection)
		if err != nil {
			return fmt.Errorf("error writing data for collection `%s`: %w", collection.namespace(), err)
		}
		s.say("done dumping %s (%d documents)", collection.namespace(), count)
	}
	return w.out.Flush()
}

// beginning writes all that stands before the documents.
func (s *settings) beginning(ctx context.Context, client *mongo.Client, w writer) ([]*collectionInfo, error) {
	var server struct{ Version string }
	if err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&server); err != nil {
		return nil, err
	}
	names := []string{s.database}
	if s.database == "" {
		var err error
		if names, err = client.ListDatabaseNames(ctx, bson.D{}); err != nil {
			return nil, err
		}
	}
	var collections []*collectionInfo
	for _, name := range names {
		if s.database == "" && (name == "local" || name == "config") {
			continue
		}
		found, err := s.collections(ctx, client.Database(name))
		if err != nil {
			return nil, fmt.Errorf("error getting collections for database `%s`: %w", name, err)
		}
		collections = append(collections, found...)
	}
	if err := w.mark(magic); err != nil {
		return nil, err
	}
	if err := w.document(header{1, formatVersion, server.Version, toolVersion}); err != nil {
		return nil, err
	}
	for _, collection := range collections {
		if err := w.document(collection); err != nil {
			return nil, err
		}
	}
	return collections, w.mark(terminator)
}

// collections leaves out the server's own: users, above all, are the server's and not a database's.
func (s *settings) collections(ctx context.Context, database *mongo.Database) ([]*collectionInfo, error) {
	cursor, err := database.ListCollections(ctx, bson.D{})
	if err != nil {
		return nil, err
	}
	var found []struct {
		Name    string
		Type    string
		Options bson.D
		Info    struct{ UUID primitive.Binary }
	}
	if err := cursor.All(ctx, &found); err != nil {
		return nil, err
	}
	var collections []*collectionInfo
	for _, c := range found {
		if s.collection != "" && c.Name != s.collection || strings.HasPrefix(c.Name, "system.") && c.Name != "system.js" {
			continue
		}
		about := metadata{
			Options: append(bson.D{}, c.Options...), Indexes: []bson.D{},
			UUID: hex.EncodeToString(c.Info.UUID.Data), CollectionName: c.Name, Type: c.Type,
		}
		info := &collectionInfo{Database: database.Name(), Collection: c.Name}
		if c.Type == "view" {
			info.Type = c.Type
		} else {
			indexes, err := database.Collection(c.Name).Indexes().List(ctx)
			if err != nil {
				return nil, err
			}
			if err := indexes.All(ctx, &about.Indexes); err != nil {
				return nil, err
			}
		}
		text, err := bson.MarshalExtJSON(about, true, false)
		if err != nil {
			return nil, err
		}
		info.Metadata = string(text)
		collections = append(collections, info)
	}
	return collections, nil
}

func documents(ctx context.Context, client *mongo.Client, w writer, collection *collectionInfo) (int, error) {
	cursor, err := client.Database(collection.Database).Collection(collection.Collection).Find(ctx, bson.D{})
	if err != nil {
		return 0, err
	}
	defer cursor.Close(ctx)
	if err := w.document(segment{Database: collection.Database, Collection: collection.Collection}); err != nil {
		return 0, err
	}
	sum, count := crc64.New(crcTable), 0
	for cursor.Next(ctx) {
		sum.Write(cursor.Current)
		if _, err := w.out.Write(cursor.Current); err != nil {
			return count, err
		}
		count++
	}
	if err := cursor.Err(); err != nil {
		return count, err
	}
	if err := w.mark(terminator); err != nil {
		return count, err
	}
	end := segment{Database: collection.Database, Collection: collection.Collection, EOF: true, CRC: int64(sum.Sum64())}
	if err := w.document(end); err != nil {
		return count, err
	}
	return count, w.mark(terminator)
}
