package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"os"
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

const (
	batchDocuments = 1000
	batchBytes     = 8 << 20
)

// target is where the documents of one collection of the archive go.
type target struct {
	collection *mongo.Collection
	info       *collectionInfo
	about      metadata
	sum        hash.Hash64

	waiting      []any
	waitingBytes int
	done, failed int
	ended        bool
}

func (t *target) name() string { return t.collection.Database().Name() + "." + t.collection.Name() }

func (s *settings) restore(ctx context.Context, client *mongo.Client) error {
	var in io.Reader = os.Stdin
	if s.archive.file != "" {
		file, err := os.Open(s.archive.file)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	if s.gzip {
		uncompressed, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = uncompressed
	}
	r := reader{bufio.NewReaderSize(in, 1<<20)}
	targets, order, err := s.targets(ctx, client, r)
	if err != nil {
		return err
	}
	if err := s.insertAll(ctx, r, targets); err != nil {
		return err
	}
	done, failed := 0, 0
	for _, t := range order {
		if !t.ended && t.info.Type != "view" {
			return fmt.Errorf("corruption found in archive; it ends before %s does", t.info.namespace())
		}
		if err := makeIndexes(ctx, t); err != nil {
			return err
		}
		s.say("finished restoring %s (%d documents, %d failures)", t.name(), t.done, t.failed)
		done, failed = done+t.done, failed+t.failed
	}
	s.say("%d document(s) restored successfully. %d document(s) failed to restore.", done, failed)
	return nil
}

// targets reads all that stands before the documents, and makes the collections.
func (s *settings) targets(ctx context.Context, client *mongo.Client, r reader) (map[string]*target, []*target, error) {
	if err := r.begin(); err != nil {
		return nil, nil, err
	}
	if _, err := r.next(); err != nil {
		return nil, nil, truncated(err)
	}
	chosen := s.chooser()
	byName, order := map[string]*target{}, []*target{}
	for {
		raw, err := r.next()
		if err != nil {
			return nil, nil, truncated(err)
		}
		if raw == nil {
			return byName, order, nil
		}
		info := &collectionInfo{}
		if err := bson.Unmarshal(raw, info); err != nil {
			return nil, nil, err
		}
		to, ok := chosen(info)
		if !ok {
			continue
		}
		database, name, _ := strings.Cut(to, ".")
		t := &target{collection: client.Database(database).Collection(name), info: info, sum: crc64.New(crcTable)}
		if info.Metadata != "" {
			if err := bson.UnmarshalExtJSON([]byte(info.Metadata), true, &t.about); err != nil {
				return nil, nil, fmt.Errorf("error parsing metadata of %s: %w", info.namespace(), err)
			}
		}
		if err := s.create(ctx, t); err != nil {
			return nil, nil, err
		}
		byName[info.namespace()], order = t, append(order, t)
	}
}

// chooser says of a collection in the archive whether it is wanted, and under what name.
func (s *settings) chooser() func(*collectionInfo) (string, bool) {
	include := s.include
	if s.database != "" {
		pattern := s.database + ".*"
		if s.collection != "" {
			pattern = s.database + "." + s.collection
		}
		include = append(include, pattern)
	}
	matches := func(patterns []string, name string) bool {
		for _, pattern := range patterns {
			if wildcard(pattern).MatchString(name) {
				return true
			}
		}
		return false
	}
	return func(info *collectionInfo) (string, bool) {
		name := info.namespace()
		if strings.HasPrefix(name, "admin.system.") || len(include) > 0 && !matches(include, name) || matches(s.exclude, name) {
			return "", false
		}
		for i, from := range s.renameFrom {
			if found := wildcard(from).FindStringSubmatch(name); found != nil {
				to := s.renameTo[i]
				for _, part := range found[1:] {
					to = strings.Replace(to, "*", part, 1)
				}
				return to, true
			}
		}
		return name, true
	}
}

func wildcard(pattern string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, "(.*)") + "$")
}

func (s *settings) create(ctx context.Context, t *target) error {
	database := t.collection.Database()
	if s.drop {
		if err := t.collection.Drop(ctx); err != nil {
			return fmt.Errorf("error dropping collection: %w", err)
		}
	}
	there, err := database.ListCollectionNames(ctx, bson.D{{Key: "name", Value: t.collection.Name()}})
	if err != nil {
		return err
	}
	if len(there) > 0 {
		s.say("restoring to existing collection %s without dropping", t.name())
		return nil
	}
	command := append(bson.D{{Key: "create", Value: t.collection.Name()}}, t.about.Options...)
	if err := database.RunCommand(ctx, command).Err(); err != nil {
		return fmt.Errorf("error creating collection %s: %w", t.name(), err)
	}
	return nil
}

// insertAll reads the rest of the archive. The documents of several collections may be in turns.
func (s *settings) insertAll(ctx context.Context, r reader, targets map[string]*target) error {
	for {
		raw, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if raw == nil {
			return errors.New("corruption found in archive; no name before a run of documents")
		}
		var begin segment
		if err := bson.Unmarshal(raw, &begin); err != nil {
			return err
		}
		// Nil when the collection is not wanted: it is read and thrown away.
		t := targets[begin.namespace()]
		for {
			document, err := r.next()
			if err != nil {
				return truncated(err)
			}
			if document == nil {
				break
			}
			if t == nil {
				continue
			}
			t.sum.Write(document)
			t.waiting, t.waitingBytes = append(t.waiting, document), t.waitingBytes+len(document)
			if len(t.waiting) >= batchDocuments || t.waitingBytes >= batchBytes {
				if err := s.insert(ctx, t); err != nil {
					return err
				}
			}
		}
		if t == nil {
			continue
		}
		if err := s.insert(ctx, t); err != nil {
			return err
		}
		t.ended = t.ended || begin.EOF
		if begin.EOF && uint64(begin.CRC) != t.sum.Sum64() {
			return fmt.Errorf("corruption found in archive; the checksum of %s is wrong", begin.namespace())
		}
	}
}

// insert goes on past documents that are there already, as the official tool does.
func (s *settings) insert(ctx context.Context, t *target) error {
	if len(t.waiting) == 0 {
		return nil
	}
	_, err := t.collection.InsertMany(ctx, t.waiting, options.InsertMany().SetOrdered(false))
	var bulk mongo.BulkWriteException
	failed := 0
	if errors.As(err, &bulk) && bulk.WriteConcernError == nil {
		for _, one := range bulk.WriteErrors {
			s.say("continuing through error: %s", one.Message)
		}
		failed, err = len(bulk.WriteErrors), nil
	}
	if err != nil {
		return fmt.Errorf("%s: error restoring from archive: %w", t.name(), err)
	}
	t.done, t.failed = t.done+len(t.waiting)-failed, t.failed+failed
	t.waiting, t.waitingBytes = nil, 0
	return nil
}

// makeIndexes comes after the documents, which is faster than keeping them up to date on the way.
func makeIndexes(ctx context.Context, t *target) error {
	var wanted bson.A
	for _, index := range t.about.Indexes {
		var kept bson.D
		own := false
		for _, field := range index {
			own = own || field.Key == "name" && field.Value == "_id_"
			// Which version an index has is up to the server, and FerretDB is not to be told.
			if field.Key != "ns" && field.Key != "v" {
				kept = append(kept, field)
			}
		}
		if !own {
			wanted = append(wanted, kept)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	command := bson.D{{Key: "createIndexes", Value: t.collection.Name()}, {Key: "indexes", Value: wanted}}
	if err := t.collection.Database().RunCommand(ctx, command).Err(); err != nil {
		return fmt.Errorf("%s: error creating indexes: %w", t.name(), err)
	}
	return nil
}
