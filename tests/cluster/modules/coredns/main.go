// CoreDNS with only what a cluster's DNS needs; the full set takes far longer to build.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

// The order in which a query passes the plugins, as upstream has it.
var order = []string{"bind", "ready", "health", "errors", "cache", "template", "kubernetes"}

func init() { dnsserver.Directives = order }

func main() { coremain.Run() }
