// Program mongotools is `mongodump` and `mongorestore`, as far as backups to and from one archive need them: the official tools are
// not to be had as a package. It is called by either name.
//
// Owns: the options and the connection. The archive's format is in archive.go, the work in dump.go and restore.go.
// Not here: dumps to folders, oplogs, and options that only tune; those are taken and ignored.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/x/mongo/driver/connstring"
)

// settings are what both tools take, and what only one of them does.
type settings struct {
	uri, host, port                                 string
	username, password, authDatabase, authMechanism string
	database, collection                            string
	archive                                         archivePath
	gzip, quiet, drop                               bool
	include, exclude, renameFrom, renameTo          list
}

// list is an option that may be given more than once.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// archivePath is an option that needs no value: `--archive` alone is the standard stream.
type archivePath struct {
	given bool
	file  string
}

func (a *archivePath) String() string   { return a.file }
func (a *archivePath) IsBoolFlag() bool { return true }

func (a *archivePath) Set(value string) error {
	a.given = true
	if value != "true" && value != "-" {
		a.file = value
	}
	return nil
}

func parse(tool string, arguments []string) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet(tool, flag.ContinueOnError)
	text := func(target *string, names ...string) {
		for _, name := range names {
			flags.StringVar(target, name, "", "")
		}
	}
	text(&s.uri, "uri")
	text(&s.host, "host", "h")
	text(&s.port, "port")
	text(&s.username, "username", "u")
	text(&s.password, "password", "p")
	text(&s.authDatabase, "authenticationDatabase")
	text(&s.authMechanism, "authenticationMechanism")
	text(&s.database, "db", "d")
	text(&s.collection, "collection", "c")
	flags.Var(&s.archive, "archive", "")
	flags.BoolVar(&s.gzip, "gzip", false, "")
	flags.BoolVar(&s.quiet, "quiet", false, "")
	if tool == "mongorestore" {
		flags.BoolVar(&s.drop, "drop", false, "")
		flags.Var(&s.include, "nsInclude", "")
		flags.Var(&s.exclude, "nsExclude", "")
		flags.Var(&s.renameFrom, "nsFrom", "")
		flags.Var(&s.renameTo, "nsTo", "")
		flags.String("numInsertionWorkersPerCollection", "", "")
	}
	config := flags.String("config", "", "")
	version := flags.Bool("version", false, "")
	flags.Bool("verbose", false, "")
	flags.Bool("v", false, "")
	flags.String("numParallelCollections", "", "")
	flags.String("readPreference", "", "")
	flags.SetOutput(io.Discard)
	if err := flags.Parse(arguments); err != nil {
		return nil, fmt.Errorf("error parsing command line options: %w", err)
	}
	if *version {
		fmt.Printf("%s version: %s\n", tool, toolVersion)
		os.Exit(0)
	}
	for _, argument := range flags.Args() {
		if !strings.HasPrefix(argument, "mongodb") || s.uri != "" {
			return nil, fmt.Errorf("error parsing command line options: unexpected argument %q", argument)
		}
		s.uri = argument
	}
	if *config != "" {
		if err := s.readConfig(*config); err != nil {
			return nil, err
		}
	}
	if len(s.renameFrom) != len(s.renameTo) {
		return nil, errors.New("--nsFrom and --nsTo go in pairs")
	}
	if !s.archive.given {
		return nil, errors.New("only archives are known here: give --archive")
	}
	return s, nil
}

// readConfig takes what must not be seen on a command line from a file.
func (s *settings) readConfig(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("error opening file with --config: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		key, value, found := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch {
		case !found || strings.HasPrefix(key, "#"):
		case key == "password":
			s.password = value
		case key == "uri":
			s.uri = value
		default:
			return fmt.Errorf("error parsing config file: field %s not found", key)
		}
	}
	return lines.Err()
}

func (s *settings) connect(ctx context.Context) (*mongo.Client, error) {
	uri := s.uri
	if uri == "" {
		host := s.host
		if host == "" {
			host = "localhost"
		}
		if s.port != "" {
			host += ":" + s.port
		}
		uri = "mongodb://" + host + "/"
	} else {
		parsed, err := connstring.ParseAndValidate(uri)
		if err != nil {
			return nil, fmt.Errorf("error parsing uri: %w", err)
		}
		if s.database == "" {
			s.database = parsed.Database
		}
	}
	client := options.Client().ApplyURI(uri)
	if s.password != "" && s.username == "" && client.Auth != nil {
		client.Auth.Password, client.Auth.PasswordSet = s.password, true
	}
	if s.username != "" {
		source := s.authDatabase
		if source == "" {
			source = s.database
		}
		client.SetAuth(options.Credential{
			AuthMechanism: s.authMechanism, AuthSource: source, Username: s.username, Password: s.password, PasswordSet: true,
		})
	}
	connection, err := mongo.Connect(ctx, client)
	if err != nil {
		return nil, err
	}
	if err := connection.Ping(ctx, nil); err != nil {
		return nil, fmt.Errorf("can't create session: failed to connect: %w", err)
	}
	return connection, nil
}

// say writes to the standard error: the other stream may be the archive.
func (s *settings) say(format string, values ...any) {
	if !s.quiet {
		say(format, values...)
	}
}

func say(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "%s\t%s\n", time.Now().Format("2006-01-02T15:04:05.000-0700"), fmt.Sprintf(format, values...))
}

func run(tool string, arguments []string) error {
	s, err := parse(tool, arguments)
	if err != nil {
		return err
	}
	ctx := context.Background()
	client, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Disconnect(ctx)
	if tool == "mongodump" {
		return s.dump(ctx, client)
	}
	return s.restore(ctx, client)
}

func main() {
	tool := filepath.Base(os.Args[0])
	if tool != "mongodump" && tool != "mongorestore" {
		fmt.Fprintln(os.Stderr, "call this as mongodump or mongorestore")
		os.Exit(2)
	}
	if err := run(tool, os.Args[1:]); err != nil {
		say("Failed: %v", err)
		os.Exit(1)
	}
}
