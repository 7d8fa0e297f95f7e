// What hashicorp/go-plugin takes to start a plugin and to call it: over gRPC, with and without
// AutoMTLS, and over net/rpc. Prints JSON: microseconds of every start, and percentiles of calls.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/examples/grpc/shared"
)

// echo gives back what it is asked for.
type echo struct{}

func (echo) Put(string, []byte) error        { return nil }
func (echo) Get(text string) ([]byte, error) { return []byte(text), nil }

type way struct {
	name     string
	protocol plugin.Protocol
	mtls     bool
}

type call struct {
	Bytes int     `json:"bytes"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

type result struct {
	Way    string    `json:"way"`
	Starts []float64 `json:"starts"`
	Calls  []call    `json:"calls"`
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		serve(plugin.Protocol(os.Args[2]))
		return
	}
	starts, calls := number(1), number(2)
	var results []result
	for _, way := range []way{
		{"gRPC", plugin.ProtocolGRPC, false},
		{"gRPC, AutoMTLS", plugin.ProtocolGRPC, true},
		{"net/rpc", plugin.ProtocolNetRPC, false},
	} {
		results = append(results, measure(way, starts, calls))
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}

func number(index int) int {
	if len(os.Args) <= index {
		panic("goplugin STARTS CALLS")
	}
	value, err := strconv.Atoi(os.Args[index])
	if err != nil {
		panic(err)
	}
	return value
}

func serve(protocol plugin.Protocol) {
	config := &plugin.ServeConfig{HandshakeConfig: shared.Handshake, Logger: hclog.NewNullLogger()}
	config.Plugins = plugin.PluginSet{"kv": &shared.KVPlugin{Impl: echo{}}}
	if protocol == plugin.ProtocolGRPC {
		config.Plugins = plugin.PluginSet{"kv_grpc": &shared.KVGRPCPlugin{Impl: echo{}}}
		config.GRPCServer = plugin.DefaultGRPCServer
	}
	plugin.Serve(config)
}

func measure(way way, starts, calls int) result {
	found := result{Way: way.name}
	for n := range starts {
		client, kv, took := start(way)
		found.Starts = append(found.Starts, microseconds(took))
		if n == starts-1 {
			for _, size := range []int{100, 4096} {
				found.Calls = append(found.Calls, timed(kv, size, calls))
			}
		}
		client.Kill()
	}
	return found
}

func start(way way) (*plugin.Client, shared.KV, time.Duration) {
	began := time.Now()
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: shared.Handshake, Plugins: shared.PluginMap, AutoMTLS: way.mtls,
		Cmd:              exec.Command(os.Args[0], "plugin", string(way.protocol)),
		AllowedProtocols: []plugin.Protocol{way.protocol}, Logger: hclog.NewNullLogger(),
	})
	rpc, err := client.Client()
	if err != nil {
		panic(err)
	}
	name := "kv"
	if way.protocol == plugin.ProtocolGRPC {
		name = "kv_grpc"
	}
	raw, err := rpc.Dispense(name)
	if err != nil {
		panic(err)
	}
	return client, raw.(shared.KV), time.Since(began)
}

func timed(kv shared.KV, size, calls int) call {
	text := strings.Repeat("x", size)
	var took []time.Duration
	for n := range calls + calls/10 {
		began := time.Now()
		if answer, err := kv.Get(text); err != nil || len(answer) != size {
			panic(fmt.Sprint(err, len(answer)))
		}
		if n >= calls/10 { // the first ones warm up
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	at := func(q float64) float64 { return microseconds(took[int(q*float64(len(took)-1))]) }
	return call{size, at(.5), at(.99)}
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
