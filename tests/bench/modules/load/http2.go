package main

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Unary gRPC, as much of it as a load needs: no compression, no header table, windows that last.
type grpc struct {
	links   []*link
	streams int
	head    []byte
	body    []byte
}

type link struct {
	socket int
	next   uint32
	lanes  map[uint32]int // under way, by stream
	part   []byte
	decode *hpack.Decoder
	status string
}

const window = 1<<31 - 1

func newHTTP2(address, path, body string, connections, streams int) *grpc {
	g := &grpc{streams: streams, head: headers(address, path)}
	g.body = binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body)))
	g.body = append(g.body, body...)
	for range connections {
		l := &link{socket: dial(address), next: 1, lanes: map[uint32]int{}}
		l.decode = hpack.NewDecoder(0, func(field hpack.HeaderField) {
			if field.Name == "grpc-status" {
				l.status = field.Value
			}
		})
		write(l.socket, preface())
		g.links = append(g.links, l)
	}
	return g
}

func preface() []byte {
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, nil)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	_ = framer.WriteWindowUpdate(0, window-65535)
	return out.Bytes()
}

func headers(address, path string) []byte {
	var out bytes.Buffer
	encoder := hpack.NewEncoder(&out)
	encoder.SetMaxDynamicTableSize(0)
	for _, pair := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", path},
		{":authority", address}, {"te", "trailers"}, {"content-type", "application/grpc"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]})
	}
	return out.Bytes()
}

func (g *grpc) lanes() int { return len(g.links) * g.streams }

func (g *grpc) descriptors() []int {
	var sockets []int
	for _, l := range g.links {
		sockets = append(sockets, l.socket)
	}
	return sockets
}

func (g *grpc) send(lane int) {
	l := g.links[lane%len(g.links)]
	l.lanes[l.next] = lane
	var out bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: l.next, BlockFragment: g.head, EndHeaders: true})
	_ = framer.WriteData(l.next, true, g.body)
	l.next += 2
	write(l.socket, out.Bytes())
}

func (g *grpc) receive(connection int, data []byte, done func(lane int, ok bool)) {
	l := g.links[connection]
	data = append(l.part, data...)
	for len(data) >= 9 {
		size := int(data[0])<<16 | int(data[1])<<8 | int(data[2])
		if len(data) < 9+size {
			break
		}
		l.take(http2.FrameType(data[3]), http2.Flags(data[4]), binary.BigEndian.Uint32(data[5:9]), data[9:9+size], done)
		data = data[9+size:]
	}
	l.part = append([]byte(nil), data...)
}

func (l *link) take(kind http2.FrameType, flags http2.Flags, stream uint32, data []byte, done func(lane int, ok bool)) {
	switch kind {
	case http2.FrameSettings, http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			write(l.socket, acknowledgement(kind, data))
		}
	case http2.FrameHeaders:
		if _, err := l.decode.Write(data); err != nil {
			fail("header block: %v", err)
		}
	case http2.FrameGoAway, http2.FrameRSTStream, http2.FrameContinuation:
		fail("the server sent %v: %q", kind, data)
	}
	ended := kind == http2.FrameHeaders && flags.Has(http2.FlagHeadersEndStream)
	if lane, open := l.lanes[stream]; open && ended {
		delete(l.lanes, stream)
		ok := l.status == "0"
		l.status = ""
		done(lane, ok)
	}
}

func acknowledgement(kind http2.FrameType, data []byte) []byte {
	if kind == http2.FrameSettings {
		data = nil
	}
	frame := []byte{0, 0, byte(len(data)), byte(kind), byte(http2.FlagPingAck), 0, 0, 0, 0}
	return append(frame, data...)
}
