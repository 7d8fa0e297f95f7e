package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Kept from the garbage collector, which would close them.
var files []*os.File

type http1 struct {
	requests [][]byte
	trace    int // where the last digits of the trace's id are; 0 = there is none
	turn     int
	sockets  []int
	parts    [][]byte // of answers that did not come whole
}

func newHTTP1(address, path, body string, contexts, connections int, traced bool) *http1 {
	h := &http1{parts: make([][]byte, connections)}
	start, trace := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\n", path, address), ""
	if traced {
		h.trace = len(start) + len("traceparent: 00-") + 16
		trace = "traceparent: 00-0123456789abcdef0000000000000000-0123456789abcdef-01\r\n"
	}
	for context := range max(contexts, 1) {
		named := ""
		if contexts > 0 {
			named = fmt.Sprintf("Sandbox-Context: c%d\r\n", context)
		}
		h.requests = append(h.requests, fmt.Appendf(nil,
			"%s%sContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
			start, trace, named, len(body), body))
	}
	for range connections {
		h.sockets = append(h.sockets, dial(address))
	}
	return h
}

func (h *http1) lanes() int         { return len(h.sockets) }
func (h *http1) descriptors() []int { return h.sockets }

func (h *http1) send(lane int) {
	h.turn++
	request := h.requests[h.turn%len(h.requests)]
	if h.trace > 0 {
		fmt.Appendf(request[:h.trace], "%016x", h.turn)
	}
	write(h.sockets[lane], request)
}

func (h *http1) receive(connection int, data []byte, done func(lane int, ok bool)) {
	if len(h.parts[connection]) > 0 {
		data = append(h.parts[connection], data...)
	}
	if ok, whole := answer(data); whole {
		h.parts[connection] = h.parts[connection][:0]
		done(connection, ok)
	} else {
		h.parts[connection] = append([]byte(nil), data...)
	}
}

// answer tells whether an answer is whole, and whether it is a success.
func answer(data []byte) (ok, whole bool) {
	head := bytes.Index(data, []byte("\r\n\r\n"))
	if head < 0 {
		return false, false
	}
	return bytes.HasPrefix(data, []byte("HTTP/1.1 200 ")), len(data) >= head+4+length(data[:head+2])
}

var name = []byte("content-length:")

func length(head []byte) int {
	for line := range bytes.Lines(head) {
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], name) {
			value, err := strconv.Atoi(string(bytes.TrimSpace(line[len(name):])))
			if err == nil {
				return value
			}
		}
	}
	fail("an answer has no Content-Length:\n%s", head)
	return 0
}
