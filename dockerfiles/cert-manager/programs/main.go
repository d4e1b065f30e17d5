// Command cert-manager holds the programs of cert-manager in one file: it does
// what the name it is called by says. They share most of their code, so one file
// is less than half their size.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime/debug"

	cainjector "github.com/cert-manager/cert-manager/cmd/cainjector/app"
	controller "github.com/cert-manager/cert-manager/cmd/controller/app"
	"github.com/cert-manager/cert-manager/cmd/util"
	webhook "github.com/cert-manager/cert-manager/cmd/webhook/app"
	"github.com/cert-manager/cert-manager/pkg/logs"
	version "github.com/cert-manager/cert-manager/pkg/util"
	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	// the release sets this with the linker
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/cert-manager/cert-manager" {
				version.AppVersion = module.Version
			}
		}
	}
	log.SetPrefix("") // a library of the controller's sets it for all

	stop, exit := util.SetupExitHandler(util.GracefulShutdown)
	defer exit() // may call os.Exit, so it is the last
	ctx := util.ContextWithStopCh(context.Background(), stop)

	logs.InitLogs(flag.CommandLine)
	defer logs.FlushLogs()
	var command *cobra.Command
	switch name := filepath.Base(os.Args[0]); name {
	case "controller":
		command = controller.NewCommandStartCertManagerController(stop)
	case "cainjector":
		ctrl.SetLogger(logs.Log)
		command = cainjector.NewCommandStartInjectorController(ctx, os.Stdout, os.Stderr)
	case "webhook":
		command = webhook.NewServerCommand(stop)
	default:
		fmt.Fprintf(os.Stderr, "%s: not a program of cert-manager\n", name)
		os.Exit(2)
	}
	command.Flags().AddGoFlagSet(flag.CommandLine)
	_ = flag.CommandLine.Parse(nil)
	if err := command.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		util.SetExitCode(err)
	}
}
