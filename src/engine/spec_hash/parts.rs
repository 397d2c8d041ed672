//! What a container is made of: mounts, files, namespaces, hooks, how it is watched and restarted.
use super::canon::Canon;
use crate::model::service::{
    FileMount, Healthcheck, LifecycleHook, Mount, MountSource, Namespaces, Restart, SharedVolumes,
    Volume,
};

impl Canon {
    pub(super) fn namespaces(&mut self, namespaces: &Namespaces) {
        let Namespaces {
            // Written where it always was.
            pid: _,
            ipc,
            uts,
            user,
            cgroup,
        } = namespaces;
        let all = [
            ("ipc", ipc),
            ("uts", uts),
            ("user", user),
            ("cgroup", cgroup),
        ];
        for (name, namespace) in all {
            self.given(name, namespace.as_ref(), |canon, text| canon.text(text));
        }
    }

    pub(super) fn hook(&mut self, hook: &LifecycleHook) {
        let LifecycleHook {
            command,
            user,
            is_privileged,
            working_dir,
            environment,
        } = hook;
        self.texts(command);
        self.option(user.as_deref(), Canon::text);
        self.flag(*is_privileged);
        self.option(working_dir.as_deref(), Canon::text);
        self.map(environment, |canon, value| {
            canon.option(value.as_ref(), |canon, value| canon.bytes(value.reveal()));
        });
    }

    pub(super) fn shared_volumes(&mut self, shared: &SharedVolumes) {
        match shared {
            SharedVolumes::OfService {
                service,
                is_read_only,
            } => {
                self.text("service");
                self.text(service.as_str());
                self.flag(*is_read_only);
            }
            SharedVolumes::OfContainer {
                container,
                is_read_only,
            } => {
                self.text("container");
                self.text(container);
                self.flag(*is_read_only);
            }
        }
    }

    pub(super) fn mount(&mut self, mount: &Mount) {
        let Mount {
            source,
            target,
            is_read_only,
        } = mount;
        match source {
            MountSource::Bind {
                path,
                propagation,
                create_host_path,
                selinux,
            } => {
                self.text("bind");
                self.text(path);
                self.option(propagation.as_deref(), Canon::text);
                self.flag(*create_host_path);
                self.given("selinux", selinux.as_ref(), |canon, text| canon.text(text));
            }
            MountSource::Volume {
                key,
                nocopy,
                subpath,
            } => {
                self.text("volume");
                self.text(key);
                self.flag(*nocopy);
                self.given("subpath", subpath.as_ref(), |canon, text| canon.text(text));
            }
            MountSource::Anonymous => self.text("anonymous"),
        }
        self.text(target);
        self.flag(*is_read_only);
    }

    pub(super) fn file(&mut self, file: &FileMount) {
        let FileMount {
            target,
            content,
            mode,
            uid,
            gid,
        } = file;
        self.text(target);
        self.bytes(content.reveal());
        for number in [mode, uid, gid] {
            self.number(u64::from(*number));
        }
    }

    pub(super) fn healthcheck(&mut self, healthcheck: &Healthcheck) {
        let Healthcheck {
            test,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        } = healthcheck;
        self.texts(test);
        for duration in [interval, timeout, start_period] {
            self.option(*duration, Canon::duration);
        }
        self.option(retries.as_ref(), |canon, retries| canon.shown(retries));
        self.given("start_interval", *start_interval, Canon::duration);
    }

    pub(super) fn restart(&mut self, restart: Restart) {
        match restart {
            Restart::No => self.text("no"),
            Restart::Always => self.text("always"),
            Restart::UnlessStopped => self.text("unless-stopped"),
            Restart::OnFailure(most) => self.shown(format_args!("on-failure:{most}")),
        }
    }

    pub(super) fn volume(&mut self, volume: &Volume) {
        let Volume {
            name,
            is_external,
            driver,
            driver_opts,
            labels,
        } = volume;
        self.text(name);
        self.flag(*is_external);
        self.option(driver.as_deref(), Canon::text);
        self.text_map(driver_opts);
        self.text_map(labels);
    }
}
