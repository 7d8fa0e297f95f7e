// Argo CD's two processes that apply what Git holds, and the kustomize they call, in one binary:
// the name it is called by picks one.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	repository "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	"github.com/spf13/cobra"
	"sigs.k8s.io/kustomize/kustomize/v5/commands"
)

var programs = map[string]func() *cobra.Command{
	"argocd-application-controller": controller.NewCommand,
	"argocd-repo-server":            repository.NewCommand,
	"kustomize":                     commands.NewDefaultCommand,
}

func main() {
	name := filepath.Base(os.Args[0])
	program, ok := programs[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "%q is no program: call this binary by a program's name\n", name)
		os.Exit(2)
	}
	if program().Execute() != nil {
		os.Exit(1)
	}
}
