// Checks a served log with Go's own packages for transparency logs, golang.org/x/mod/sumdb/note and
// tlog, as they come with the toolchain. Everything here is plumbing: the paths of C2SP tiles, and the
// three lines of a checkpoint.
//
//	tlog-check URL VKEY [OLD-CHECKPOINT-FILE]
//
// Verifies the signature of the checkpoint, that every entry of the bundles is in the tree, and,
// with an older checkpoint, that the tree continues it. Writes what it found as one JSON object.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// log reads the files of a log below a URL, each once.
type log struct {
	url   string
	files map[string][]byte
}

func (l *log) get(path string) ([]byte, error) {
	if data, ok := l.files[path]; ok {
		return data, nil
	}
	resp, err := http.Get(l.url + "/" + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, resp.Status)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	l.files[path] = data
	return data, nil
}

// Height, ReadTiles and SaveTiles make a tlog.TileReader.
func (l *log) Height() int { return height }

func (l *log) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
		data, err := l.get(path)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (l *log) SaveTiles([]tlog.Tile, [][]byte) {}

// checkpoint verifies a signed note and reads the tree that its text names.
func checkpoint(msg []byte, key note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(msg, note.VerifierList(key))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", key.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// entries reads the bundles of a log of so many entries.
func entries(l *log, size int64) ([][]byte, error) {
	var all [][]byte
	for n := int64(0); n*256 < size; n++ {
		tile := tlog.Tile{H: height, L: 0, N: n, W: int(min(size-n*256, 256))}
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/0/", height), "tile/entries/", 1)
		data, err := l.get(path)
		if err != nil {
			return nil, err
		}
		for i := 0; i < tile.W; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("%s: cut short", path)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			all = append(all, data[2:end])
			data = data[end:]
		}
		if len(data) > 0 {
			return nil, fmt.Errorf("%s: too long", path)
		}
	}
	return all, nil
}

func run(url, vkey, older string) (map[string]any, error) {
	key, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	l := &log{url: strings.TrimRight(url, "/"), files: map[string][]byte{}}
	msg, err := l.get("checkpoint")
	if err != nil {
		return nil, err
	}
	tree, err := checkpoint(msg, key)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	hashes := tlog.TileHashReader(tree, l)
	all, err := entries(l, tree.N)
	if err != nil {
		return nil, err
	}
	for i, entry := range all {
		proof, err := tlog.ProveRecord(tree.N, int64(i), hashes)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		err = tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry))
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
	}
	found := map[string]any{"size": tree.N, "proved": len(all)}
	if older != "" {
		msg, err := os.ReadFile(older)
		if err != nil {
			return nil, err
		}
		old, err := checkpoint(msg, key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", older, err)
		}
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		if err != nil {
			return nil, err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			return nil, fmt.Errorf("%s: %w", older, err)
		}
		found["continues"] = old.N
	}
	return found, nil
}

func main() {
	if len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, "usage: tlog-check URL VKEY [OLD-CHECKPOINT-FILE]")
		os.Exit(2)
	}
	older := ""
	if len(os.Args) == 4 {
		older = os.Args[3]
	}
	found, err := run(os.Args[1], os.Args[2], older)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
